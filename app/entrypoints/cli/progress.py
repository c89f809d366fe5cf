"""Shows a person that something goes on, once it takes longer than a second."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from app.entrypoints.terminal import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_QUIET = 1.0


class Progress:
    """A spinner with what is known and how long it has taken, on a terminal's standard error.

    Elsewhere it shows nothing, so that logs and pipes stay clean.
    """

    def __init__(self, text: str) -> None:
        self._text = printable(text)
        self._bar: Bar | None = None
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer = threading.Timer(_QUIET, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def say(self, text: str) -> None:
        """What to show from now on."""
        with self._guard:
            self._text = printable(" ".join(text.split()))[:120]
            if self._bar:
                self._bar.update(self._bar.task_ids[0], description=self._text)

    def stop(self) -> None:
        """Show nothing more."""
        if self._timer:
            self._timer.cancel()
        with self._guard:
            self._timer = None
            if self._bar:
                self._bar.stop()
                self._bar = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - most commands end before this
        from rich.progress import Progress as Bar  # noqa: PLC0415
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        with self._guard:
            if self._timer is None:  # stopped while the libraries came
                return
            bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            bar.add_task(self._text)
            bar.start()
            self._bar = bar
