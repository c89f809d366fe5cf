"""Waits for the time of what lies in the topic of delays, then releases it.

Any number can wait: a record is held in memory for as long as there is room. Where there is little,
those that wait for more than a minute move to the end of the topic, so that what stands behind them
is read too; each moves once in a minute at most.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from app.adapters.kafka.claims import Claim, Limits, Record
from app.adapters.kafka.cloudevents import read_headers
from app.adapters.kafka.codec import Codec, origin_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.delays import key_of, not_before_of
from app.adapters.kafka.engine_group import EngineGroup
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import TaskId, WorkerId
from app.ports.delays import DelayQueue, Due, Release, Unwanted, nothing
from app.ports.task_queue import Undecodable

_MOVED = "crewline-moved"
_FAR = 60.0
"""Seconds: who waits longer than that may be moved, and is not moved again sooner."""
_OLD = 86_400.0
"""Seconds after which a record that still waits is moved in any case: its topic forgets."""
_GRACE = 5.0
"""Seconds for releases that are on their way when the queue is stopped."""
LIMITS = Limits(slots=64, buffer=20_000, buffer_bytes=64_000_000)
"""So many wait in the memory of one worker; measured, a thousand small ones take 3 MB."""


class KafkaDelayQueue(DelayQueue):
    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        producer: Producer,
        worker_id: WorkerId,
        *,
        unwanted: Unwanted = nothing,
        limits: Limits = LIMITS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`worker_id` is the static member of the group, as in the queue of tasks."""
        self._producer = producer
        self._codec = Codec(topics)
        self._unwanted = unwanted
        self._now = now
        self._group = EngineGroup(
            connection,
            group=topics.retries,
            worker_id=worker_id,
            pattern=f"^{re.escape(topics.retries)}$",
            limits=limits,
            hold=self._hold,
        )

    async def run(self, release: Release) -> None:
        async def let_go(claim: Claim) -> None:
            record = claim.record
            content = self._codec.command(record)
            if content is None:
                return  # a tombstone: it asks for nothing
            if isinstance(content, SubmitTask):
                earlier = content.earlier._replace(key=key_of(record))
                content = content.model_copy(update={"earlier": earlier})
            not_before = not_before_of(record)
            if not_before is None and not isinstance(content, Undecodable):
                content = Undecodable("it does not say for which time it waits", content.id)
            early = not_before is not None and not_before > self._now()
            if early and not self._is_unwanted(record):
                await self._move(record)
            else:
                await release(Due(content, origin_of(record)))

        await self._group.run(let_go)

    async def stop(self) -> None:
        await self._group.stop(_GRACE)

    def hurry(self, task_id: TaskId) -> None:
        self._group.hurry(task_id.encode())

    def healthy(self) -> bool:
        return self._group.healthy()

    def _hold(self, claim: Claim, crowded: bool) -> float:
        not_before = not_before_of(claim.record)
        if not_before is None or self._is_unwanted(claim.record):
            return 0
        now = self._now()
        wait = (not_before - now).total_seconds()
        if wait <= _FAR:
            return wait
        age: float = now.timestamp() - claim.record.timestamp / 1000
        if crowded and any(name == _MOVED for name, _ in claim.record.headers):
            return _FAR - age
        return 0 if crowded or age > _OLD else wait

    def _is_unwanted(self, record: Record) -> bool:
        """Delays are keyed by their task."""
        task_id = TaskId((record.key or b"").decode("utf-8", "replace"))
        return self._unwanted(task_id, read_headers(record.headers).earlier)

    async def _move(self, record: Record) -> None:
        """Write it again to the end of its topic; the delivery that stood here is then done."""
        headers = [(name, value or b"") for name, value in record.headers if name != _MOVED]
        headers.append((_MOVED, b"1"))
        sent = await self._producer.send(
            record.topic, key=record.key, value=record.value, headers=headers
        )
        await sent
