"""What somebody outside Crewline has: an HTTP client, a Kafka client, and a fleet that stands."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.topics import Topics
from app.adapters.local.servers.server import free_port
from app.adapters.sql.opening import open_database
from app.adapters.sql.view_store import SqlViewStore
from app.domain.model.ids import unnamed_task_id
from tests.e2e.fleet import Fleet
from tests.waiting import until_true

Json = dict[str, Any]
Headers = Sequence[tuple[str, bytes]]
Read: TypeAlias = "ConsumerRecord[bytes, bytes]"

ENDED = {"completed", "failed", "canceled", "rejected"}
EVERYTHING = ("gateway", "projector", "worker")


def new_fleet(folder: Path, kafka: str, store: str | None = None) -> Fleet:
    """A fleet with a prefix and a port of its own; nothing of it runs yet."""
    prefix = f"test-{secrets.token_hex(4)}"
    store = store or f"sqlite+aiosqlite:///{folder / 'views.db'}"
    return Fleet(folder, kafka, prefix, free_port(), store)


@contextmanager
def standing(fleet: Fleet, *processes: str) -> Iterator[Fleet]:
    """The fleet with its topics made and these processes running, the gateway ready."""
    try:
        made = fleet.run("topics", "apply")
        assert made.returncode == 0, made.stderr
        start(fleet, *processes)
        yield fleet
    finally:
        fleet.close()


def start(fleet: Fleet, *processes: str) -> None:
    """Start these processes; return once the gateway, where it is one of them, is ready."""
    for process in processes:
        fleet.start(process)
    if "gateway" in processes:
        asyncio.run(fleet.ready())


@dataclass(frozen=True)
class Outside:
    """Whoever uses a fleet: knows its address, its broker and its topics' prefix."""

    fleet: Fleet
    http: httpx.AsyncClient
    producer: AIOKafkaProducer

    async def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Write a record to a topic of the fleet; its partition and offset."""
        stored = await self.producer.send_and_wait(
            f"{self.fleet.prefix}.{topic}", value, key=key, headers=headers, partition=partition
        )
        return stored.partition, stored.offset

    async def produce_unnamed(
        self, topic: str, value: bytes, key: bytes | None = None, headers: Headers = ()
    ) -> tuple[int, str]:
        """Write a record that names no task to partition 0; its offset, and the id of its task."""
        name = f"{self.fleet.prefix}.{topic}"
        now = int(time.time() * 1_000)
        stored = await self.producer.send_and_wait(
            name, value, key=key, headers=headers, partition=0, timestamp_ms=now
        )
        task_id = unnamed_task_id(name, 0, stored.offset, now, value)
        return stored.offset, task_id

    async def submit(self, agent: str, body: Json) -> str:
        """Hand a task in; its id."""
        answer = await self.http.post("/v1/tasks", json={"agent": agent, "input": "go", **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def ended(self, task_id: str, within: float = 60, attempt: int = 0) -> Json:
        """The task, once it has ended, in this attempt or a later one."""
        found: Json = {}

        async def has_ended() -> bool:
            answer = await self.http.get(f"/v1/tasks/{task_id}", headers={"Prefer": "wait=5"})
            found.clear()
            found.update(answer.json())
            return found.get("state") in ENDED and found["attempt"] >= attempt

        await self._until(has_ended, within)
        return found

    async def labelled(self, label: str, within: float = 60) -> Json:
        """The one task with this label, once it has ended."""
        found: list[Json] = []

        async def is_there() -> bool:
            found[:] = (await self.http.get("/v1/tasks", params={"label": label})).json()["items"]
            return bool(found)

        await self._until(is_there, within)
        assert len(found) == 1
        return await self.ended(found[0]["id"], within)

    async def read(
        self, topic: str, wanted: Callable[[Read], bool], count: int = 1, within: float = 60
    ) -> list[Read]:
        """The first so many records of a topic of the fleet that are wanted."""
        consumer = AIOKafkaConsumer(
            f"{self.fleet.prefix}.{topic}",
            bootstrap_servers=self.fleet.kafka,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4_000_000,
        )
        await consumer.start()
        try:
            records: list[Read] = []
            async with asyncio.timeout(within):
                while len(records) < count:
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        records += filter(wanted, batch)
            return records
        finally:
            await consumer.stop()

    async def _until(self, ask: Callable[[], Awaitable[bool]], within: float) -> None:
        async def alive() -> bool:
            self.fleet.refuse_dead()
            return await ask()

        await until_true(alive, within)


async def caught_up(fleet: Fleet, within: float = 60) -> None:
    """Return once the views have all of the log: traces and letters come beside a task's end."""
    feed = KafkaEventFeed(KafkaConnection(fleet.kafka), Topics(fleet.prefix), None)

    async def have_all() -> bool:
        fleet.refuse_dead()
        async with open_database(fleet.store) as database:
            offsets = await SqlViewStore(database).offsets()
        return all(offsets.get(shard, 0) >= end for shard, end in (await feed.ends()).items())

    await until_true(have_all, within)


@asynccontextmanager
async def outside(fleet: Fleet) -> AsyncIterator[Outside]:
    producer = AIOKafkaProducer(bootstrap_servers=fleet.kafka, max_request_size=4_000_000)
    await producer.start()
    try:
        async with httpx.AsyncClient(base_url=fleet.url, timeout=30) as http:
            yield Outside(fleet, http, producer)
    finally:
        await producer.stop()
