"""The results of the log in memory, from now on."""

from collections.abc import AsyncIterator, Callable

from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.events import ResultEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import Offsets, ResultTail, Shard


class MemoryResultTail(ResultTail):
    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log
        self._start: Offsets | None = None

    async def ready(self) -> None:
        """Return once everything appended from now on will be heard."""
        if self._start is None:
            self._start = self._ends()

    async def results(self, wanted: Callable[[TaskId], bool]) -> AsyncIterator[ResultEvent]:
        await self.ready()
        position, self._start = dict(self._start or {}), None
        while True:
            await self._log.until(lambda: self._ends() != position)
            for shard in self._ends():
                for record in self._log.records(shard, position.get(shard, 0)):
                    position[shard] = record.offset + 1
                    event = record.message
                    if isinstance(event, ResultEvent) and wanted(event.task_id):
                        yield event

    def _ends(self) -> dict[Shard, int]:
        return self._log.ends(self._log.results_topic)
