"""The time between two runs of a record: its slot is free, and its lane waits."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from app.adapters.kafka.claims import Claim, Limits
from app.ports.task_queue import Again

_MOST_DOUBLINGS = 16
_log = logging.getLogger(__name__)


class Pauses:
    def __init__(self, limits: Limits, over: Callable[[Claim], None]) -> None:
        """`over` is given each claim whose next run may begin."""
        self._backoff = limits.backoff
        self._ceiling = limits.backoff_ceiling
        self._over = over

    def begin(self, claim: Claim, failure: BaseException | None) -> None:
        """Wait for as long as the run asked by `Again`, else longer each time it breaks."""
        if isinstance(failure, Again):
            wait, sooner = failure.seconds, failure.sooner
        else:
            wait, sooner = self._put_off(claim, failure), None
        waiting = asyncio.create_task(self._pause(claim, wait, sooner))
        claim.partition.waiting.add(waiting)
        waiting.add_done_callback(claim.partition.waiting.discard)

    def _put_off(self, claim: Claim, failure: BaseException | None) -> float:
        doubled: float = self._backoff * 2 ** min(claim.put_off, _MOST_DOUBLINGS)
        wait = min(doubled, self._ceiling)
        claim.put_off += 1
        _log.error(
            "%s@%s stays in the queue, again in %.1f s",
            claim.partition.name,
            claim.record.offset,
            wait,
            exc_info=failure,
        )
        return wait

    async def _pause(self, claim: Claim, wait: float, sooner: asyncio.Event | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await (sooner or claim.lost).wait()
        if not claim.lost.is_set():
            self._over(claim)
