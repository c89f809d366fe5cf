"""A member of a consumer group whose records an engine runs."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.adapters.kafka.assignor import Standing, assignor_of
from app.adapters.kafka.claims import FIRST_COME, Handler, Hold, Limits, Precedence
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine import Engine
from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.topics import CommandTopic
from app.domain.model.fleet import Share
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.ports.event_log import LogUnavailable
from app.ports.task_queue import Deleted, Ownership

_TO_ANSWER = 2.0


class EngineGroup:
    """From joining the group to leaving it; to be run once."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        group: str,
        worker_id: WorkerId,
        pattern: str,
        limits: Limits,
        hold: Hold | None = None,
        precedence: Precedence = FIRST_COME,
        ownership: Ownership | None = None,
        runs: Mapping[AgentName, Collection[RuntimeName]] | None = None,
        read: Callable[[str], CommandTopic | None] = lambda _: None,
    ) -> None:
        """`worker_id` is the static member of the group: no two workers may share one.

        A worker that comes back under its id has its partitions at once, and a restart moves none.
        `pattern` is a regular expression of the topics' names. A topic whose agent is among `runs`,
        as `read` tells, goes to this worker rather than to those that do not know the agent.
        """
        self._connection = connection
        self._group = group
        self._worker_id = worker_id
        self._pattern = pattern
        self._limits = limits
        self._hold = hold
        self._precedence = precedence
        self._ownership = ownership
        self._standing = Standing(worker_id, runs)
        self._read = read
        self._consumer: AIOKafkaConsumer | None = None
        self._engine: Engine | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, handler: Handler) -> None:
        """Run the handler for each record until `stop`; raise `LogUnavailable` where none come."""
        admin = AIOKafkaAdminClient(**self._connection.admin_settings())
        consumer = AIOKafkaConsumer(
            **self._connection.busy_consumer_settings(),
            group_id=self._group,
            group_instance_id=self._worker_id,
            partition_assignment_strategy=[assignor_of(self._standing, self._read)],
            max_partition_fetch_bytes=max(262_144, self._connection.max_message_bytes + 65_536),
        )
        engine = Engine(
            consumer,
            GroupOffsets(admin, self._group),
            self._limits,
            exact_ends=not self._connection.embedded,
            hold=self._hold,
            precedence=self._precedence,
            ownership=self._ownership,
        )
        consumer.subscribe(pattern=self._pattern, listener=engine.assignment)
        self._connecting = asyncio.create_task(_connect(admin, consumer))
        try:
            await asyncio.wait({self._connecting})
            if self._stopped:
                return  # before the group had let us in
            self._connecting.result()
            self._engine, self._consumer = engine, consumer
            await engine.run(handler)
        except KafkaError as error:
            raise LogUnavailable(f"the broker cannot be reached: {error}") from error
        finally:
            self._engine = self._consumer = None
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
            await consumer.stop()
            await admin.close()

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what runs finish for `grace` seconds, cancel the rest, leave."""
        self._stopped = True
        if self._engine:
            await self._engine.stop(grace)
        elif self._connecting:
            self._connecting.cancel()

    def hurry(self, key: bytes) -> None:
        """Ask `hold` now about what it holds under this key."""
        if self._engine is not None:
            self._engine.hurry(key)

    def leave_to_others(self, agent: AgentName) -> None:
        """Have the group share its topics out anew, those of this agent to others if they can."""
        self._standing.left.add(agent)
        self._standing.asked += 1
        if self._consumer is not None:
            # aiokafka has no public word for it; brokers heed it as the member tells something new
            self._consumer._coordinator.request_rejoin()  # noqa: SLF001

    async def shares(self) -> Sequence[Share]:
        """What is ours of each topic; raises `LogUnavailable`."""
        if self._engine is None:
            return ()
        try:
            async with asyncio.timeout(_TO_ANSWER):
                return await self._engine.shares()
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable("how much waits cannot be read now") from error

    async def deleted(self) -> Sequence[Deleted]:
        """What is ours and does not begin at its first record; raises `LogUnavailable`."""
        if self._engine is None:
            return ()
        try:
            async with asyncio.timeout(_TO_ANSWER):
                return await self._engine.deleted()
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable("where the topics begin cannot be read now") from error

    def healthy(self) -> bool:
        """Whether the group is joined and its topics are read."""
        return self._engine is not None and self._engine.healthy()


async def _connect(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
    """Joining a group takes as long as its other members let it."""
    await admin.start()
    await consumer.start()
