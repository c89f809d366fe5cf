"""Records on their way: those that come together for one partition travel together.

aiokafka gathers records too, but keeps a future and several lookups for each of them, and sends
the first one alone. Handing it whole batches costs a quarter of that, and fewer requests.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

Headers = Sequence[tuple[str, bytes]]
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What brokers say of a batch, or of the only record in it."""

_TURNS = 5
"""Turns of the event loop for which a batch gathers: a run that is over at once tells its start
and its end in one request, and nobody waits for the clock."""
_REMEMBERED = 600.0
"""Seconds for which batches stay small after one was too large: topics are changed."""


class _Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers


class Batch:
    """Records that travel together; where the broker takes no batch so large, in parts."""

    def __init__(self) -> None:
        self.records: list[_Record] = []
        self.errors: dict[int, Exception] = {}
        """Why a record was not taken, by its place among the records."""
        self.over = asyncio.Event()
        """Set when it is known what became of all of them."""


class PartitionBatches:
    """At most one batch of a partition is under way, and the next one is gathering."""

    def __init__(self, producer: Any, place: TopicPartition, failed: Callable[[], None]) -> None:
        """`failed` is called when a batch is not taken for a reason that is not its size."""
        self._producer = producer
        self._failed = failed
        self._place = place
        self._gathering: tuple[Batch, Any] | None = None
        """With aiokafka's `BatchBuilder` of its records."""
        self._largest: tuple[int, float] | None = None
        """Bytes that a batch of several records may take, and until when we believe so."""
        self._taken = asyncio.Event()
        self.sending: asyncio.Task[None] | None = None
        """Ends when there is nothing left to send; it never raises."""

    def add(self, key: bytes | None, value: bytes | None, headers: Headers) -> Batch | None:
        """Take a record, in order: the batch it travels in. None where there is no `room`."""
        if self._gathering is None:
            self._gathering = Batch(), self._producer.create_batch()
        batch, builder = self._gathering
        if self._largest and batch.records and self._too_small_for(key, value, headers):
            return None
        if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return None
        batch.records.append(_Record(key, value, headers))
        if self.sending is None:
            self.sending = asyncio.create_task(self._send())
        return batch

    async def room(self) -> None:
        """Return once the batch that is full has been taken."""
        self._taken.clear()
        await self._taken.wait()

    def _too_small_for(self, key: bytes | None, value: bytes | None, headers: Headers) -> bool:
        if self._largest is None or self._gathering is None:
            return False
        largest, until = self._largest
        if asyncio.get_running_loop().time() > until:
            self._largest = None
            return False
        return int(self._gathering[1].size()) + size_of(key, value, headers) > largest

    async def _send(self) -> None:
        while self._gathering:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            (batch, builder), self._gathering = self._gathering, None
            self._taken.set()
            await self._deliver(batch, builder, 0, len(batch.records))
            batch.over.set()
        self.sending = None

    async def _deliver(self, batch: Batch, builder: Any, first: int, behind: int) -> None:
        """Send these of the batch's records, which the builder holds; halves, where too large."""
        topic, partition = self._place
        try:
            sent = await self._producer.send_batch(builder, topic, partition=partition)
            await sent
        except TOO_LARGE as error:
            if not self._number_anew(behind - first):
                self._failed()
                batch.errors |= dict.fromkeys(range(first, behind), error)
            elif behind - first == 1:
                batch.errors[first] = error
            else:
                until = asyncio.get_running_loop().time() + _REMEMBERED
                self._largest = int(builder.size()) // 2, until
                middle = (first + behind) // 2
                for part in ((first, middle), (middle, behind)):
                    await self._deliver(batch, self._built(batch.records[slice(*part)]), *part)
        except Exception as error:  # noqa: BLE001  # whoever waits for a record hears of it
            batch.errors |= dict.fromkeys(range(first, behind), error)
            self._failed()

    def _built(self, records: Sequence[_Record]) -> Any:
        builder = self._producer.create_batch()
        for key, value, headers in records:
            builder.append(timestamp=None, key=key, value=value, headers=headers)
        return builder

    def _number_anew(self, count: int) -> bool:
        """Have an idempotent producer number on as if it had never sent so many records.

        The broker refuses a batch for its size before it looks at the numbers, and a hole in them
        would be refused for ever. aiokafka offers no other way than a new producer.
        """
        numbering = self._producer._txn_manager  # noqa: SLF001
        if numbering is None:
            return True
        number = numbering.sequence_number(self._place)
        if number < count:
            return False  # they begin anew after 2 ** 31
        numbering.increment_sequence_number(self._place, -count)
        return True


class Batches:
    """All that goes through one aiokafka producer, which is started."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.failed = False
        """Whether a record was not taken that was not too large."""
        self.partitions: dict[str, int] = {}
        """How many each topic has, of those that were learnt of since the brokers last told."""
        self._of: dict[TopicPartition, PartitionBatches] = {}
        producer.client.cluster.add_listener(lambda _: self.partitions.clear())

    async def learn(self, topic: str) -> None:
        """Have the topic among `partitions`."""
        self.partitions[topic] = len(await self.producer.partitions_for(topic))

    def of(self, place: TopicPartition) -> PartitionBatches:
        if (batches := self._of.get(place)) is None:
            batches = self._of[place] = PartitionBatches(self.producer, place, self._fail)
        return batches

    async def close(self) -> None:
        """Send what is still waiting, and end the producer."""
        while sending := [each.sending for each in self._of.values() if each.sending]:
            await asyncio.wait(sending)
        await self.producer.stop()

    def _fail(self) -> None:
        self.failed = True


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """How large a record is on the wire, at most."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers))
