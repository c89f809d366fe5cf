"""Hear what shall be canceled before any task is taken, and as long as tasks are or wait."""

import asyncio
from dataclasses import dataclass

from app.domain.model.commands import SubmitTask
from app.domain.use_cases.cancellations import Cancellations
from app.ports.control import Control
from app.ports.task_queue import Again, Delivery, Handle, TaskQueue


class HeedfulQueue(TaskQueue):
    """A queue that hands nothing out before its worker knows all that was canceled until then.

    What still has to wait for its next run waits, unless it is canceled.
    """

    def __init__(self, queue: TaskQueue, control: Control, cancellations: Cancellations) -> None:
        self._queue = queue
        self._control = control
        self._cancellations = cancellations
        self._stopped = asyncio.Event()

    async def run(self, handle: Handle) -> None:
        listening = asyncio.create_task(self._control.listen(self._cancellations.note))
        taking = asyncio.create_task(self._take(handle))
        try:
            done, _ = await asyncio.wait({listening, taking}, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()  # a worker that hears nothing any more must not go on
        finally:
            for each in (listening, taking):
                each.cancel()
            await asyncio.gather(listening, taking, return_exceptions=True)

    async def stop(self, grace: float) -> None:
        self._stopped.set()
        await self._queue.stop(grace)

    def healthy(self) -> bool:
        return self._queue.healthy()

    async def _take(self, handle: Handle) -> None:
        caught_up = asyncio.create_task(self._control.caught_up())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({caught_up, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (caught_up, stopped):
                each.cancel()
        if not self._stopped.is_set():
            await self._queue.run(_Patient(handle, self._cancellations))


@dataclass(frozen=True, slots=True)
class _Patient:
    handle: Handle
    cancellations: Cancellations

    async def __call__(self, delivery: Delivery) -> None:
        if delivery.wait > 0 and isinstance(command := delivery.content, SubmitTask):
            canceled = self.cancellations.awaited(command.id, command.earlier)
            if not canceled.is_set():
                raise Again(delivery.wait, canceled, counted=False)
        await self.handle(delivery)
