"""What has ended behind given offsets, in the log in memory."""

from collections.abc import Mapping

from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.events import TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import Endings, Offsets


class MemoryEndings(Endings):
    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log

    async def behind(self, read: Offsets) -> Mapping[TaskId, int]:
        ended: dict[TaskId, int] = {}
        for shard in self._log.ends():
            for record in self._log.records(shard, read.get(shard, 0)):
                event = record.message
                if isinstance(event, TerminalEvent):
                    ended[event.task_id] = max(event.attempt, ended.get(event.task_id, 0))
        return ended
