"""Says aloud where tasks wait that no live worker reads."""

import asyncio
import logging
from dataclasses import dataclass, field

from app.domain.use_cases.fleet import Fleet
from app.ports.backlogs import Backlogs

_EVERY = 10.0
_PATIENCE = 3
"""Looks for which a topic may be unread without a word: workers start, and share topics out."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class UnreadTopics:
    """Compares what waits with what the workers' heartbeats say they read."""

    backlogs: Backlogs
    fleet: Fleet
    _seen: dict[str, int] = field(default_factory=dict)
    """For how many looks each topic has been unread."""

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            self.look()

    def look(self) -> None:
        """Look once at what the backlogs and the fleet last said; neither is asked."""
        now, _ = self.fleet.now()
        if self.fleet.in_touch_at is None:
            return
        read = {
            share.topic
            for member in self.fleet.members()
            if member.health(now) == "healthy"
            for share in member.heartbeat.topics
        }
        waiting = {name: tasks for name, tasks in self.backlogs.topics().items() if tasks}
        for topic in self._seen.keys() - (waiting.keys() - read):
            if self._seen.pop(topic) >= _PATIENCE:
                _log.info("%s is read, or empty, again", topic)
        for topic in sorted(waiting.keys() - read):
            self._seen[topic] = seen = self._seen.get(topic, 0) + 1
            if seen == _PATIENCE:
                _log.warning(
                    "no live worker reads %s, where %d tasks wait: start one that has the agent "
                    "and the runtime of that name, or send them to a topic `crewline agents` names",
                    topic,
                    waiting[topic],
                )
