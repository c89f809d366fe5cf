"""How much waits in memory."""

from collections import Counter
from collections.abc import Mapping

from app.adapters.memory.task_queue import MemoryTasks
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import AgentName
from app.ports.backlogs import Backlogs, Depth
from app.ports.event_log import Recorded, Shard


class MemoryBacklogs(Backlogs):
    def __init__(self, tasks: MemoryTasks) -> None:
        self._tasks = tasks
        self._positions: dict[Shard, int] = {}
        self._open: list[Recorded] = []
        self._done: Counter[str] = Counter()

    async def look(self) -> Mapping[AgentName, Depth]:
        seen = [*self._open, *self._tasks.after(self._positions)]
        self._open = [each for each in seen if not self._is_done(each)]
        waiting = Counter(map(_agent, self._open))
        self._done += Counter(map(_agent, seen)) - waiting
        agents = waiting.keys() | self._done.keys()
        return {AgentName(each): Depth(waiting[each], self._done[each]) for each in agents}

    def topics(self) -> Mapping[str, int]:
        return {}  # a worker in memory reads all there is

    def _is_done(self, record: Recorded) -> bool:
        return self._tasks.entries[record.shard, record.offset].done


def _agent(record: Recorded) -> str:
    return record.message.agent if isinstance(record.message, SubmitTask) else ""
