"""Refuse what would wait too long, while it is known how much waits already."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from app.domain.model.agents import Agent
from app.domain.model.errors import Unavailable
from app.domain.model.ids import AgentName
from app.domain.model.priorities import Priority
from app.ports.backlogs import Backlogs, Depth
from app.ports.clock import Clock

_EVERY = 1.0
_OLD = timedelta(seconds=10)
"""After which what was seen says nothing any more."""
_LOOKS = 15
"""How many looks back the rate of work is taken from."""
_UNKNOWN_RATE = 10.0
_LONGEST = 60.0
_log = logging.getLogger(__name__)


class BacklogFull(Unavailable):
    """As many tasks wait for the agent as may; fewer will later."""

    code = "backlog-full"

    def __init__(self, message: str, limit: int, retry_after: float) -> None:
        super().__init__(message, retry_after)
        self.limit = limit


class _Look(NamedTuple):
    at: datetime
    depths: Mapping[AgentName, Depth]


class Admission:
    """Looks every second, so that no task is held up by a look.

    What this process lets in meanwhile counts too. Where nobody can tell how much waits, all is
    let in: the log takes it, or says itself that it does not.
    """

    def __init__(
        self, backlogs: Backlogs, clock: Clock, limit: int = 0, *, critical_passes: bool = False
    ) -> None:
        """`limit` is for agents that name none of their own; 0 means without end.

        With `critical_passes` it holds for no task of critical priority.
        """
        self._backlogs = backlogs
        self._clock = clock
        self._limit = limit
        self._critical_passes = critical_passes
        self._looks: deque[_Look] = deque(maxlen=_LOOKS)
        self._let_in: Counter[AgentName] = Counter()

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                _log.info("nobody can tell how much waits: %s", error.message)
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Look once."""
        before = self._let_in.copy()
        depths = await self._backlogs.look()
        self._let_in -= before  # these are seen now; Counter's - drops what is not positive
        self._looks.append(_Look(self._clock.now(), depths))

    def waiting(self, agent: AgentName) -> int | None:
        """How many tasks wait or run, as far as anybody can tell."""
        if not self._looks or self._clock.now() - self._looks[-1].at > _OLD:
            return None
        depth = self._looks[-1].depths.get(agent)
        return (depth.open if depth else 0) + self._let_in[agent]

    def admit(self, agent: Agent, priority: Priority) -> None:
        """Count one more task, or raise `BacklogFull`."""
        limit = agent.spec.max_backlog or self._limit
        waiting = self.waiting(agent.name)
        passes = self._critical_passes and priority is Priority.CRITICAL
        if limit and waiting is not None and waiting >= limit and not passes:
            message = f"{waiting} tasks wait for {agent.name}, and {limit} may"
            raise BacklogFull(message, limit, self._seconds(agent.name, waiting + 1 - limit))
        self._let_in[agent.name] += 1

    def _seconds(self, agent: AgentName, tasks: int) -> float:
        """How long so many tasks take, as fast as the last ones went."""
        first, last = self._looks[0], self._looks[-1]
        done = _done(last, agent) - _done(first, agent)
        if done <= 0 or last.at == first.at:
            return _UNKNOWN_RATE
        return min(tasks * (last.at - first.at).total_seconds() / done, _LONGEST)


def _done(look: _Look, agent: AgentName) -> int:
    depth = look.depths.get(agent)
    return depth.done if depth else 0
