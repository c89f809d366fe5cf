"""What CrewAI reads while it is imported: no telemetry, no signal handlers, no files of ours.

Left alone it sends usage statistics, replaces the signal handlers a worker shuts down by, reads a
`.env` it finds, and fails where the home directory cannot be written, as in most containers.
`OTEL_SDK_DISABLED` would silence it too, and with it our own traces.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIXED = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",  # a crew that is verbose asks PyPI
    "CREWAI_TESTING": "true",  # it never asks a question on the terminal
    "PYTHON_DOTENV_DISABLED": "1",
}


def settle() -> None:
    """Set the variables; a storage folder somebody chose is kept."""
    os.environ.update(_FIXED)
    os.environ.setdefault("CREWAI_STORAGE_DIR", str(_scratch()))


@contextmanager
def writable_home() -> Iterator[None]:
    """Lend CrewAI a home to write its key file to while it is imported, if ours is read-only."""
    home = os.environ.get("HOME")
    if home is None or _writable(Path(home, ".local", "share")):
        yield
        return
    os.environ["HOME"] = str(_scratch())
    try:
        yield
    finally:
        os.environ["HOME"] = home


def _scratch() -> Path:
    return Path(tempfile.gettempdir()) / f"crewline-crewai-{os.getuid()}"


def _writable(home: Path) -> bool:
    """Whether CrewAI can make its folder there, which it would do without asking."""
    folder = home / "crewai"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
