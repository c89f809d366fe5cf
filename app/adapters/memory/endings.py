"""What has ended behind given offsets, in the log in memory."""

from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.events import TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import Ended, Endings, Offsets


class MemoryEndings(Endings):
    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log

    async def behind(self, read: Offsets) -> Ended:
        attempts: dict[TaskId, int] = {}
        ends = self._log.ends(self._log.results_topic)
        for shard in ends:
            for record in self._log.records(shard, read.get(shard, 0)):
                event = record.message
                if isinstance(event, TerminalEvent):
                    attempts[event.task_id] = max(event.attempt, attempts.get(event.task_id, 0))
        return Ended(attempts, ends)
