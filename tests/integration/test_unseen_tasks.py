"""Tasks that were accepted and that no projector has read of, on real logs and databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.control import KafkaControl
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.log_ends import KafkaLogEnds
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import CancelTask
from app.domain.use_cases.project_status import ProjectStatus
from app.entrypoints.bootstrap.agents import catalog_of
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.processes import gateway
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import Observed
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.settings import Settings
from app.ports.event_log import LogUnavailable
from tests.builders import ANALYST
from tests.contracts.log_ends import LogEndsContract
from tests.integration.on_kafka import KafkaTopics, OnKafka, OnTheEmbeddedBroker
from tests.waiting import until, until_true

TASK = {"agent": ANALYST, "input": "Requirements for a library"}


class LogEndsOnKafka(KafkaTopics, LogEndsContract):
    @pytest.fixture
    def feed(self, connection: KafkaConnection, topics: Topics) -> KafkaEventFeed:
        return KafkaEventFeed(connection, topics, None)

    @pytest.fixture
    async def log_ends(
        self, connection: KafkaConnection, topics: Topics
    ) -> AsyncIterator[KafkaLogEnds]:
        async with KafkaLogEnds(connection, topics) as ends:
            yield ends


@pytest.mark.kafka
class TestLogEndsOnKafka(OnKafka, LogEndsOnKafka):
    """On a real Apache Kafka."""


class TestLogEndsOnTheEmbeddedBroker(OnTheEmbeddedBroker, LogEndsOnKafka):
    """On the broker of `crewline dev`."""


async def test_a_broker_that_is_away_is_said() -> None:
    async with KafkaLogEnds(KafkaConnection("127.0.0.1:1"), Topics()) as ends:
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                await ends.ends()


class Replicas(KafkaTopics):
    """Two gateways on one log, whose views are read by nobody but who asks for it."""

    @pytest.fixture
    async def store(self, database: str) -> AsyncIterator[Store]:
        settings = Settings(store={"url": database})
        async with open_store(settings, up_to_date=True) as store:
            yield store

    @pytest.fixture
    async def replicas(
        self, connection: KafkaConnection, topics: Topics, store: Store
    ) -> AsyncIterator[list[httpx.AsyncClient]]:
        kafka = {
            "bootstrap_servers": connection.bootstrap_servers,
            "prefix": topics.prefix,
            "embedded": connection.embedded,
        }
        settings = Settings(kafka=kafka)
        async with AsyncExitStack() as stack:
            clients = []
            for _ in range(2):
                app = await stack.enter_async_context(
                    gateway(
                        settings,
                        catalog_of(settings),
                        broker_of(settings),
                        store,
                        observed=Observed(None),
                        draining=Draining(),
                    )
                )
                client = httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60
                )
                clients.append(await stack.enter_async_context(client))
            yield clients

    async def test_an_accepted_task_is_unknown_nowhere(
        self,
        connection: KafkaConnection,
        topics: Topics,
        store: Store,
        replicas: list[httpx.AsyncClient],
    ) -> None:
        here, elsewhere = replicas
        chosen = str(uuid4())
        for body in (TASK, {**TASK, "id": chosen}):
            path = (await here.post("/v1/tasks", json=body)).headers["location"]
            task = await here.get(path)
            assert task.status_code == 200
            assert (task.json()["state"], task.json()["reason"]) == ("submitted", "accepted")
            events = await here.get(f"{path}/events", headers={"Accept": "application/json"})
            assert (events.status_code, events.json()["items"]) == (200, [])
            for question in (path, f"{path}/events"):
                behind = await elsewhere.get(question)
                assert (behind.status_code, behind.json()["code"]) == (503, "views-behind")
                assert (behind.json()["retryable"], behind.headers["retry-after"]) == (True, "1")
        for replica in replicas:
            answer = await replica.post(f"/v1/tasks/{chosen}/cancel", json={"reason": "enough"})
            assert (answer.status_code, answer.json()["reason"]) == (202, "canceling")
        heard: list[CancelTask] = []
        listening = asyncio.create_task(KafkaControl(connection, topics).listen(heard.append))
        await until(lambda: bool(heard), within=60)
        assert (heard[0].task_id, heard[0].reason) == (chosen, "enough")

        feed = KafkaEventFeed(connection, topics, None)
        projecting = asyncio.create_task(ProjectStatus(feed, store.views).run())
        try:

            async def seen() -> bool:
                answer = await elsewhere.get(f"/v1/tasks/{chosen}")
                return answer.is_success and answer.json()["reason"] == "canceling"

            await until_true(seen, within=60)
            assert (await here.get(f"/v1/tasks/{chosen}")).json()["reason"] == "canceling"

            async def said() -> bool:
                answer = await elsewhere.get(f"/v1/tasks/{uuid4()}")
                return (answer.status_code, answer.json()["code"]) == (404, "unknown-task")

            await until_true(said, within=60)
        finally:
            projecting.cancel()
            listening.cancel()
            await asyncio.gather(projecting, listening, return_exceptions=True)


@pytest.mark.kafka
class TestReplicasOnKafka(OnKafka, Replicas):
    @pytest.fixture
    def database(self, postgres_database: str) -> str:
        return postgres_database


class TestReplicasOnTheEmbeddedBroker(OnTheEmbeddedBroker, Replicas):
    @pytest.fixture
    def database(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/views.db"
