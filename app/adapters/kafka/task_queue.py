"""The command topics as a queue: the engine's records, decoded."""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from app.adapters.kafka.codec import Codec, origin_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine import Claim, Engine, Limits
from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.ports.event_log import LogUnavailable
from app.ports.task_queue import Delivery, Handle, TaskQueue


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which command topics a worker reads."""

    agents: Collection[AgentName]
    """None named means every topic, those of unknown agents included: their tasks are refused."""
    runtimes: Collection[RuntimeName]
    others: Collection[AgentName] = ()
    """Agents this worker cannot run: left to workers that can."""

    def pattern(self, topics: Topics) -> str:
        """A regular expression of the topics' names."""
        others = "|".join(map(re.escape, sorted(self.others)))
        but = rf"(?!(?:{others})(?:\.|$))" if others else ""
        agents = "|".join(map(re.escape, sorted(self.agents))) or "[^.]+"
        runtimes = "|".join(map(re.escape, sorted(self.runtimes)))
        return rf"^{re.escape(topics.commands(''))}{but}(?:{agents})(?:\.(?:{runtimes}))?$"


class KafkaTaskQueue(TaskQueue):
    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        subscription: Subscription,
        *,
        group: str,
        worker_id: WorkerId,
        limits: Limits,
    ) -> None:
        """`worker_id` is the static member of the group: no two workers may share one.

        A worker that comes back under its id has its partitions at once, and a restart moves none.
        """
        self._connection = connection
        self._pattern = subscription.pattern(topics)
        self._codec = Codec(topics)
        self._group = group
        self._worker_id = worker_id
        self._limits = limits
        self._engine: Engine | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, handle: Handle) -> None:
        admin = AIOKafkaAdminClient(**self._connection.admin_settings())
        consumer = AIOKafkaConsumer(
            **self._connection.consumer_settings(),
            group_id=self._group,
            group_instance_id=self._worker_id,
            # a new worker takes over as few partitions, and so interrupts as few tasks, as it can;
            # a class of its own, because aiokafka keeps the last assignment on the class
            partition_assignment_strategy=[type("Sticky", (StickyPartitionAssignor,), {})],
            max_partition_fetch_bytes=max(262_144, self._connection.max_message_bytes + 65_536),
        )
        engine = Engine(
            consumer,
            GroupOffsets(admin, self._group),
            self._limits,
            exact_ends=not self._connection.embedded,
        )

        async def deliver(claim: Claim) -> None:
            content = self._codec.command(claim.record)
            if content is None:
                return  # a tombstone: it asks for nothing
            earlier = content.earlier if isinstance(content, SubmitTask) else Earlier()
            await handle(
                Delivery(
                    content=content,
                    origin=origin_of(claim.record),
                    attempt=earlier.attempts + claim.tries.starts,
                    redelivered=claim.redelivered,
                    lost=claim.lost,
                    failures=earlier.failures + claim.tries.failures,
                    interrupted=claim.tries.interrupted,
                )
            )

        consumer.subscribe(pattern=self._pattern, listener=engine.assignment)
        self._connecting = asyncio.create_task(_connect(admin, consumer))
        try:
            await asyncio.wait({self._connecting})
            if self._stopped:
                return  # before the group had let us in
            self._connecting.result()
            self._engine = engine
            await engine.run(deliver)
        except KafkaError as error:
            raise LogUnavailable(f"the broker cannot be reached: {error}") from error
        finally:
            self._engine = None
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
            await consumer.stop()
            await admin.close()

    async def stop(self, grace: float) -> None:
        self._stopped = True
        if self._engine:
            await self._engine.stop(grace)
        elif self._connecting:
            self._connecting.cancel()

    def healthy(self) -> bool:
        return self._engine is not None and self._engine.healthy()


async def _connect(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
    """Joining a group takes as long as its other members let it."""
    await admin.start()
    await consumer.start()
