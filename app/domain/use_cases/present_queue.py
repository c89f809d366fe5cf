"""A worker's queue with the worker's presence in the fleet around it."""

import asyncio
from dataclasses import dataclass

from app.domain.use_cases.fleet import Monotonic
from app.domain.use_cases.follow_fleet import FollowFleet
from app.domain.use_cases.presence import Presence
from app.domain.use_cases.run_under_lease import RunUnderLease
from app.ports.task_queue import Handle, Shares, TaskQueue


@dataclass(frozen=True, slots=True)
class PresentQueue(TaskQueue):
    """Hands out what no other live worker has in hand, and lets the others know what this has."""

    queue: TaskQueue
    shares: Shares
    presence: Presence
    follow: FollowFleet
    monotonic: Monotonic

    async def run(self, handle: Handle) -> None:
        loops = [
            asyncio.create_task(
                self.queue.run(RunUnderLease(handle, self.presence, self.monotonic))
            ),
            asyncio.create_task(self.follow.run()),
            asyncio.create_task(self.presence.run(self.shares)),
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()  # who cannot hear the fleet must not go on
        finally:
            for each in loops:
                each.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.presence.leave()

    async def stop(self, grace: float) -> None:
        self.presence.drain()
        await self.queue.stop(grace)

    def healthy(self) -> bool:
        return self.queue.healthy()
