"""Asks the fleet before a task is refused that this worker cannot take.

In a rolling release workers and gateways have different catalogs for a while: a task for an agent
that is new here, or whose schema or runtimes are others here, was accepted by one who knows better.
Such a task is left to workers that know the agent, and refused only when nobody came who does.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from json import dumps
from typing import TypeVar

from app.domain.model.agents import AgentSpec
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import Rejected, Unavailable, UnknownAgent
from app.domain.model.fleet import Place
from app.domain.model.ids import AgentName
from app.domain.use_cases.fleet import Member, Monotonic
from app.domain.use_cases.presence import Presence
from app.domain.use_cases.tasks_in_hand import place_of
from app.ports.task_queue import Delivery

_SOONEST, _LOOK_AGAIN = 0.5, 5.0
_FRESH = 1.0
"""Seconds after which what the fleet said is asked for again."""
_UNKNOWN_TO_ALL = 5.0
"""Seconds for which a task is kept whose agent nobody is known to know."""
_ASK_AGAIN = 10.0
"""Seconds after which a topic that is still ours is offered to the others again."""
_REMEMBERED = 10_000
_OURS = ("ce_source", b"/crewline")
"""A message that says so was written by a gateway, which had accepted the task."""
Key = TypeVar("Key")
_log = logging.getLogger(__name__)


def edition_of(spec: AgentSpec) -> str:
    """The same wherever the same tasks of an agent are accepted."""
    accepted = [spec.input_schema, sorted(spec.runtimes)]
    return blake2b(dumps(accepted, sort_keys=True).encode(), digest_size=6).hexdigest()


class Elsewhere:
    def __init__(
        self,
        presence: Presence,
        monotonic: Monotonic,
        leave: Callable[[AgentName], None],
        patience: float,
    ) -> None:
        """`leave` gives an agent's topics to others that know the agent.

        For `patience` seconds a task is kept that others may know how to run.
        """
        self._presence = presence
        self._monotonic = monotonic
        self._leave = leave
        self._patience = patience
        self._first_seen: OrderedDict[Place, float] = OrderedDict()
        self._unknown_since: OrderedDict[tuple[AgentName, bool], float] = OrderedDict()
        self._unknown_at: dict[tuple[AgentName, bool], float] = {}
        """When a task of theirs was last seen: after a long silence patience begins anew."""
        self._left_at: dict[AgentName, float] = {}

    async def wait(
        self, delivery: Delivery, command: SubmitTask, refusal: Rejected
    ) -> float | None:
        """Seconds after which to look at the task again; None where it is to be refused now."""
        try:
            await self._presence.catch_up(self._monotonic() - _FRESH)
        except Unavailable as away:
            return away.retry_after
        now, agent = self._monotonic(), command.agent
        unknown = isinstance(refusal, UnknownAgent)
        if others := self._others(agent, unknown=unknown):
            began = _remember(self._first_seen, place_of(delivery), now)
            for accepted in (True, False):
                self._unknown_since.pop((agent, accepted), None)
            if self._is_new(agent, now):
                names = [member.heartbeat.worker_id for member in others]
                _log.warning(
                    "tasks of %s are left to workers that have another catalog: %s, for: %s",
                    agent,
                    ", ".join(sorted(names)),
                    refusal.message,
                )
                self._leave(agent)
            patience = self._patience
        else:
            accepted = _OURS in delivery.origin.headers
            if not unknown and not accepted:
                return None
            if now - self._unknown_at.get((agent, accepted), now) > self._patience:
                self._unknown_since.pop((agent, accepted), None)
            if len(self._unknown_at) >= _REMEMBERED:
                self._unknown_at.clear()
            self._unknown_at[agent, accepted] = now
            fresh = (agent, accepted) not in self._unknown_since
            began = _remember(self._unknown_since, (agent, accepted), now)
            patience = self._patience if accepted else min(self._patience, _UNKNOWN_TO_ALL)
            if fresh and patience:
                _log.warning(
                    "a task of %s is kept for %g s, should a worker come that takes it: %s",
                    agent,
                    patience,
                    refusal.message,
                )
        left = began + patience - now
        return min(max(left, _SOONEST), _LOOK_AGAIN) if left > 0 else None

    def _others(self, agent: AgentName, *, unknown: bool) -> list[Member]:
        """The workers that have another edition of this agent; those that are gone for a moment
        too, where it is unknown here."""
        ours = self._presence.profile
        now, _ = self._presence.fleet.now()
        others = []
        for member in self._presence.fleet.members():
            heartbeat = member.heartbeat
            if heartbeat.worker_id == ours.worker_id or agent not in heartbeat.agents:
                continue
            edition = heartbeat.editions.get(agent)
            if not unknown and edition in (None, ours.editions.get(agent)):
                continue
            gone = member.health(now) != "healthy"
            if not gone or (unknown and member.age(now) < self._patience):
                others.append(member)
        return others

    def _is_new(self, agent: AgentName, now: float) -> bool:
        """Whether it is time to offer the agent's topics to the others."""
        if now - self._left_at.get(agent, -_ASK_AGAIN) < _ASK_AGAIN:
            return False
        if len(self._left_at) >= _REMEMBERED:
            self._left_at.clear()
        self._left_at[agent] = now
        return True


def _remember(known: OrderedDict[Key, float], key: Key, now: float) -> float:
    """Since when this is known."""
    began = known.setdefault(key, now)
    while len(known) > _REMEMBERED:
        known.popitem(last=False)
    return began
