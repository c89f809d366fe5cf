"""A whole log in one process, for tests and for running without a broker."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args
from zlib import crc32

from app.adapters.memory.delays import MemoryDelayQueue, MemoryDelays
from app.adapters.memory.fleet import MemoryFleet
from app.adapters.memory.redelivery import MemoryRedelivery
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.events import Event, ResultEvent
from app.domain.model.ids import WorkerId
from app.domain.model.letters import LetterFact
from app.domain.model.messages import Message
from app.ports.delays import Unwanted, nothing
from app.ports.event_log import EventLog, LogEnds, Offsets, Recorded, Shard

_RESULTS = frozenset(get_args(ResultEvent))


class MemoryEventLog(EventLog):
    """Messages in shards named as on Kafka. Feeds, tails and queues of one process share it."""

    def __init__(
        self, prefix: str = "crewline", *, partitions: int = 4, max_message_bytes: int = 1_000_000
    ) -> None:
        self._prefix = prefix
        self._partitions = partitions
        self._max_message_bytes = max_message_bytes
        self._shards: defaultdict[Shard, list[Recorded]] = defaultdict(list)
        self._grew = asyncio.Condition()
        self._delays = MemoryDelays()
        self._fleet = MemoryFleet()

    @property
    def largest_message(self) -> int:
        return self._max_message_bytes

    async def append(self, message: Message) -> Awaitable[None]:
        if len(message.model_dump_json().encode()) > self._max_message_bytes:
            raise PayloadTooLarge("the message is larger than the log takes")
        topic, key = self._place(message)
        await self._add(message, topic, key.encode())
        durable = asyncio.get_running_loop().create_future()
        durable.set_result(None)
        return durable

    async def put_letter(self, letter: DeadLetter) -> None:
        """Set a letter aside, under the key of its message."""
        await self._add(letter, self.dead_letters_topic, letter.origin.key or b"")

    async def _add(self, message: Message | DeadLetter, topic: str, key: bytes) -> None:
        shard = Shard(topic, crc32(key) % self._partitions)
        records = self._shards[shard]
        records.append(Recorded(message, shard, len(records)))
        async with self._grew:
            self._grew.notify_all()

    def redelivery(self) -> MemoryRedelivery:
        """Sends dead letters' messages again."""
        return MemoryRedelivery(self)

    def heartbeats(self) -> MemoryFleet:
        """Where workers say that they live, and are heard."""
        return self._fleet

    def delays(self) -> MemoryDelays:
        """Where commands wait for their time; all of one log's are one."""
        return self._delays

    def delay_queue(
        self,
        worker_id: WorkerId,  # noqa: ARG002  it is alone
        unwanted: Unwanted = nothing,
    ) -> MemoryDelayQueue:
        """What releases them."""
        return MemoryDelayQueue(self._delays, unwanted)

    async def learn_limits(self) -> None:
        """Return: they are known."""

    async def ping(self) -> None:
        """Return: what is in this process always answers."""

    @property
    def results_topic(self) -> str:
        return f"{self._prefix}.results"

    @property
    def traces_topic(self) -> str:
        return f"{self._prefix}.traces"

    @property
    def control_topic(self) -> str:
        return f"{self._prefix}.control"

    @property
    def dead_letters_topic(self) -> str:
        return f"{self._prefix}.dead-letters"

    def ends(self, topic: str | None = None) -> dict[Shard, int]:
        """Where each shard that has messages ends now; of one topic, or of all."""
        return {
            shard: len(records)
            for shard, records in self._shards.items()
            if topic in (None, shard.topic)
        }

    def records(self, shard: Shard, start: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """What stands in a shard, from an offset on."""
        stop = None if limit is None else start + limit
        return self._shards[shard][start:stop] if shard in self._shards else []

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`, which is asked again each time a message has been appended."""
        async with self._grew:
            await self._grew.wait_for(ready)

    async def wake(self) -> None:
        """Have every waiter ask again."""
        async with self._grew:
            self._grew.notify_all()

    def _place(self, message: Message) -> tuple[str, str]:
        if isinstance(message, SubmitTask):
            kind = "urgent" if message.overtakes else "commands"
            topic = f"{self._prefix}.{kind}.{message.agent}"
            topic = f"{topic}.{message.runtime}" if message.runtime else topic
            return topic, message.context_id or message.id
        if isinstance(message, Event):
            result = type(message) in _RESULTS
            return self.results_topic if result else self.traces_topic, message.task_id
        if isinstance(message, CancelTask):
            return self.control_topic, message.task_id
        if isinstance(message, LetterFact):
            return self.dead_letters_topic, message.letter_id
        raise TypeError(f"{type(message).__name__} travels on no topic")


class MemoryLogEnds(LogEnds):
    """Asks the log itself."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log

    async def ends(self) -> Offsets:
        others = {self._log.control_topic, self._log.traces_topic}
        return {shard: end for shard, end in self._log.ends().items() if shard.topic not in others}
