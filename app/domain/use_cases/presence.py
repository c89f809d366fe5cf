"""A worker's presence in the fleet: it says what it has in hand, and stops what it may not keep.

A heartbeat goes out every few seconds, and soon after a task that takes its time has begun or
ended; the more it lists, the more of those it waits for. Nothing is sent for a task that is over
at once.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.domain.model.errors import Unavailable
from app.domain.model.fleet import Place, Share, WorkerHeartbeat
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.use_cases.fleet import Fleet, Monotonic
from app.domain.use_cases.tasks_in_hand import Hold, TasksInHand, place_of
from app.ports.clock import Clock
from app.ports.event_log import LogUnavailable
from app.ports.fleet import Heartbeats
from app.ports.task_queue import Ownership, Shares

_TICK = 0.1
_AFTER_A_FAILURE = 0.5
_FOR_EACH = 0.002
"""Seconds for each task that a heartbeat lists, in which others that begin or end do not make us
send the next: where hundreds run for a moment, to list them would cost more than to run them."""
_TO_SAY = 5.0
"""Seconds for a heartbeat that somebody waits for."""
_KEPT = 600.0
"""Seconds for which heartbeats tell what was finished after it was lost."""
_MOST_KEPT = 2_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """What does not change about a worker as long as it lives."""

    worker_id: WorkerId
    instance: str
    version: str
    agents: tuple[AgentName, ...]
    runtimes: tuple[RuntimeName, ...]
    slots: int
    started_at: datetime
    interval_seconds: float = 3.0
    editions: Mapping[AgentName, str] = field(default_factory=dict)


class Presence(Ownership):
    def __init__(
        self,
        profile: Profile,
        *,
        hands: TasksInHand,
        fleet: Fleet,
        heartbeats: Heartbeats,
        clock: Clock,
        monotonic: Monotonic,
    ) -> None:
        self.profile = profile
        self.hands = hands
        self.fleet = fleet
        self._heartbeats = heartbeats
        self._clock = clock
        self._monotonic = monotonic
        self._state: Literal["working", "draining", "stopped"] = "working"
        self._number = 0
        self._announced: frozenset[Hold] = frozenset()
        self._finished: OrderedDict[Place, float] = OrderedDict()
        self._say_again = False
        """Whether something was finished that others wait for."""
        self._due_at = self._quiet_until = monotonic()
        self._saying: asyncio.Lock = asyncio.Lock()
        self._between = False
        """Whether it is open what of our tasks is still ours."""
        self._unsaid = True
        """Whether the last hand-over could not be announced."""
        self._taken_over_at = monotonic()
        self._caught_up_at = -1.0
        self._catching_up: asyncio.Task[None] | None = None
        self.shares: Sequence[Share] = ()
        """What is ours and waits, as of the last heartbeat."""

    async def run(self, shares: Shares) -> None:
        """Say that we live, until cancelled."""
        saying: asyncio.Task[None] | None = None
        try:
            while True:
                self._look()
                if (saying is None or saying.done()) and self._has_news():
                    saying = asyncio.create_task(self._say_and_look_around(shares))
                await asyncio.sleep(_TICK)
        finally:
            if saying:
                saying.cancel()
                await asyncio.gather(saying, return_exceptions=True)

    def drain(self) -> None:
        """From now on nothing new is taken."""
        self._state = "draining"
        self._due_at = self._monotonic()

    async def leave(self) -> None:
        """The last word: others need not wait for what we had, and forget us."""
        self._state = "stopped"
        try:
            async with asyncio.timeout(_TO_SAY):
                await self._say()
                await self._heartbeats.withdraw(self.profile.worker_id)
        except (Unavailable, TimeoutError):
            _log.warning("nobody could be told that this worker has stopped")

    # --- what is in hand

    def let_go(self, hold: Hold, *, done: bool) -> None:
        """It is over; where it is `done` and another worker has it by now, that one is told."""
        self.hands.let_go(hold)
        if hold.delivery.lost.is_set() or self._between:
            self._say_again = True
            if done:
                self._finished[place_of(hold.delivery)] = self._monotonic()

    def has_finished(self, place: Place) -> bool:
        """Whether anybody in the fleet dealt with a message that was not his any more."""
        return place in self._finished or self.fleet.has_finished(place)

    # --- what moves between workers

    async def handing_over(self) -> None:
        self._between = self._unsaid = True
        await asyncio.sleep(0)  # what has just ended is noted before we say what runs
        try:
            async with asyncio.timeout(_TO_SAY):
                await self._say()
            self._unsaid = False
        except (Unavailable, TimeoutError):
            _log.warning("what runs here cannot be announced: what is lost of it will be stopped")

    def taken_over(self) -> None:
        self._between = self.hands.interrupted = False
        self._taken_over_at = self._monotonic()

    @property
    def may_finish(self) -> bool:
        return self.hands.leased and not self.hands.interrupted and not self._unsaid

    async def catch_up(self, since: float | None = None) -> None:
        """Return once we know all that was said before `since`, or before our last take-over.

        Raises `LogUnavailable`.
        """
        since = self._taken_over_at if since is None else since
        while self._caught_up_at < since:
            if self._catching_up is None or self._catching_up.done():
                self._catching_up = asyncio.create_task(self._hear_ourselves())
                self._catching_up.add_done_callback(self._has_caught_up)
            await asyncio.shield(self._catching_up)

    async def _hear_ourselves(self) -> None:
        """Heartbeats stand in one order: when we hear ours, we have heard all before it."""
        began = self._monotonic()
        try:
            async with asyncio.timeout(_TO_SAY):
                number = await self._say()
                await self.fleet.until_heard(self.profile.worker_id, self.profile.instance, number)
        except TimeoutError as error:
            _log.warning("our own heartbeat is not heard: what may run elsewhere must wait")
            raise LogUnavailable("the fleet cannot be heard") from error
        self._caught_up_at = began

    def _has_caught_up(self, catching_up: "asyncio.Task[None]") -> None:
        if self._catching_up is catching_up:
            self._catching_up = None
        if not catching_up.cancelled():
            catching_up.exception()  # whoever waits for it is told

    # --- saying it

    def _look(self) -> None:
        if self.hands.look():
            _log.error("this process has been asleep: what it ran is stopped, others may have it")
            self._taken_over_at = self._monotonic()
        ours = self.fleet.member(self.profile.worker_id)
        if (
            ours
            and ours.heartbeat.instance != self.profile.instance
            and ours.heartbeat.started_at > self.profile.started_at
            and not all(hold.fenced for hold in self.hands)
        ):
            _log.error("another worker goes by our name: what runs here is stopped")
            for hold in self.hands:
                hold.fence()

    def _has_news(self) -> bool:
        now = self._monotonic()
        if now >= self._due_at or self._say_again:
            return True
        return now >= self._quiet_until and self.hands.long() != self._announced

    async def _say_and_look_around(self, shares: Shares) -> None:
        regular = self._monotonic() >= self._due_at
        try:
            await self._say()
            if regular:
                self.shares = await shares.shares()
        except Unavailable as away:
            _log.warning("a heartbeat was not taken: %s", away.message)
            self._say_again = True
            await asyncio.sleep(_AFTER_A_FAILURE)

    async def _say(self) -> int:
        async with self._saying:
            self._say_again = False
            self._announced = self.hands.long()
            heartbeat, began = self._heartbeat(), self._monotonic()
            await self._heartbeats.send(heartbeat)
            self.hands.renew(began)
            self._due_at = began + self.profile.interval_seconds
            self._quiet_until = began + _FOR_EACH * len(heartbeat.running)
            return heartbeat.number

    def _heartbeat(self) -> WorkerHeartbeat:
        self._number += 1
        forgotten = self._monotonic() - _KEPT
        while self._finished and (
            len(self._finished) > _MOST_KEPT or next(iter(self._finished.values())) < forgotten
        ):
            self._finished.popitem(last=False)
        profile = self.profile
        return WorkerHeartbeat(
            worker_id=profile.worker_id,
            instance=profile.instance,
            number=self._number,
            state=self._state,
            version=profile.version,
            agents=profile.agents,
            runtimes=profile.runtimes,
            editions=dict(profile.editions),
            slots=profile.slots,
            running=tuple(self.hands.listed(self._clock.now())),
            finished=tuple(self._finished),
            topics=tuple(self.shares),
            started_at=profile.started_at,
            at=self._clock.now(),
            interval_seconds=profile.interval_seconds,
            lease_seconds=self.hands.lease_seconds,
        )
