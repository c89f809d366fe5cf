"""Run no task that another live worker has in hand, and stop what may be another's by now."""

import asyncio
from dataclasses import dataclass

from app.domain.model.commands import SubmitTask
from app.domain.model.errors import Unavailable
from app.domain.use_cases.fleet import Monotonic
from app.domain.use_cases.presence import Presence
from app.domain.use_cases.tasks_in_hand import place_of
from app.ports.task_queue import Again, Delivery, Handle, Undecodable

_SOON = 1.0
"""Seconds until we ask again what cannot be told now."""
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class RunUnderLease:
    """A handler around another one."""

    handle: Handle
    presence: Presence
    monotonic: Monotonic

    async def __call__(self, delivery: Delivery) -> None:
        """Raises `Again`, not counted as a run, where the task is not for us now.

        A run whose lease is over is cancelled.
        """
        command, hands = delivery.content, self.presence.hands
        if isinstance(command, Undecodable):
            await self.handle(delivery)
            return
        if (delivery.redelivered or delivery.predates_owner) and await self._dealt_with(
            command, delivery
        ):
            return
        if not hands.may_begin:
            raise Again(_SOON, counted=False)
        hold, done = hands.take(command, delivery), False
        delivery.over = hold.over
        try:
            await self.handle(delivery)
            done = True
        finally:
            self.presence.let_go(hold, done=done)

    async def _dealt_with(self, command: SubmitTask, delivery: Delivery) -> bool:
        """Whether its former owner has finished it. Waits by `Again` as long as one runs it."""
        if ours := self.presence.hands.of(command):
            ours.gone = ours.gone or asyncio.Event()
            raise Again(_LONGEST_WAIT, ours.gone, counted=False)
        try:
            await self.presence.catch_up()
            left = await self._lease_left(command)
        except Unavailable as away:
            raise Again(away.retry_after, counted=False) from away
        if left > 0:
            sooner = self.presence.fleet.released(command.id)
            raise Again(min(left, _LONGEST_WAIT), sooner, counted=False)
        return self.presence.has_finished(place_of(delivery))

    async def _lease_left(self, command: SubmitTask) -> float:
        """Seconds for which another worker may run this task."""
        fleet, asking = self.presence.fleet, self.presence.profile.worker_id
        holder = fleet.holder(command.id, asking)
        if holder is None:
            return 0.0
        if not holder.lease_left(self.monotonic()):
            # it has been silent, or we have been deaf
            await self.presence.catch_up(self.monotonic())
            holder = fleet.holder(command.id, asking)
        return holder.lease_left(self.monotonic()) if holder else 0.0
