"""Programs that produce to the command topics themselves, and those that send what is no task."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.history import History, Poison, Submission
from tests.chaos.poison import Draught
from tests.chaos.requests import Request, Requests

_TRIES = 6


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it was sent, to be sent again."""

    request: Request
    topic: str
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    task_id: str


@dataclass(slots=True)
class Producers:
    """Plain JSON and CloudEvents, each with an id of its own, so that a repeat is the same task."""

    servers: str
    prefix: str
    requests: Requests
    history: History
    chance: random.Random
    copied: float = 0.1
    """The share of records that are sent twice."""
    accepted: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    _producer: AIOKafkaProducer | None = None

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                sent = self._record(self.requests.next())
                await self._send(sent, "cloudevent" if sent.headers else "plain")
                if self.chance.random() < self.copied:
                    await self._send(sent, "copy")
                await asyncio.sleep(self.chance.expovariate(rate))
        finally:
            await self._drop()

    async def replay(self, count: int) -> int:
        """Send old records again, byte by byte; how many."""
        old = self.chance.sample(self.sent, min(count, len(self.sent)))
        for sent in old:
            await self._send(sent, "copy")
        return len(old)

    async def stray(self, count: int) -> list[str]:
        """Send what is no task under the ids of tasks that were sent just now; which ones.

        It goes to another agent's topic, for there it does not wait until they have ended.
        """
        ids = []
        for sent in self.sent[-count:]:
            agent = "blocking" if sent.request.agent != "blocking" else "short"
            draught = Draught("no task, with a task's id", b"{", given_key=sent.task_id.encode())
            if await self.poison([draught], self.topic_of(agent)):
                ids.append(sent.task_id)
        return ids

    async def poison(self, draughts: Sequence[Draught], topic: str) -> int:
        """Send each; how many the broker took."""
        taken = 0
        for draught in draughts:
            with_key = draught.key(self.chance)
            try:
                producer = await self._usable()
                record = await producer.send_and_wait(
                    topic, draught.value, key=with_key, headers=list(draught.headers)
                )
            except (KafkaError, OSError, TimeoutError):
                await self._drop()
                continue
            taken += 1
            self.history.add(
                Poison(
                    kind=draught.kind,
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    dead=draught.dead,
                )
            )
        return taken

    def topic_of(self, agent: str) -> str:
        return f"{self.prefix}.commands.{agent}"

    def _record(self, request: Request) -> Sent:
        topic, task_id = (
            self.topic_of(request.agent),
            str(uuid.UUID(int=self.chance.getrandbits(128), version=4)),
        )
        context = request.body.get("context_id")
        if self.chance.random() < 0.5:
            value = json.dumps({"id": task_id, **request.body}).encode()
            return Sent(request, topic, str(context or task_id).encode(), value, (), task_id)
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", task_id.encode()),
            ("ce_source", b"/chaos"),
            ("ce_type", b"crewline.task.submit.v1"),
            ("ce_subject", task_id.encode()),
            ("content-type", b"application/json"),
        )
        value = json.dumps({"id": task_id, **request.body}).encode()
        return Sent(request, topic, str(context or task_id).encode(), value, headers, task_id)

    async def _send(self, sent: Sent, how: str) -> None:
        began, tries, outcome = time.time(), 0, "indeterminate"
        while tries < _TRIES and outcome != "accepted":
            tries += 1
            try:
                producer = await self._usable()
                async with asyncio.timeout(15):
                    await producer.send_and_wait(
                        sent.topic, sent.value, key=sent.key, headers=list(sent.headers)
                    )
                outcome = "accepted"
            except (KafkaError, OSError, TimeoutError):
                await self._drop()
                await asyncio.sleep(0.5)
        if outcome == "accepted":
            self.accepted.append(sent.task_id)
            if how != "copy":
                self.sent.append(sent)
        self.history.add(
            Submission.model_validate(
                {
                    "name": sent.request.name,
                    "how": how,
                    "agent": sent.request.agent,
                    "began": began,
                    "outcome": outcome,
                    "task_id": sent.task_id if outcome == "accepted" else None,
                    "tries": tries,
                }
            )
        )

    async def _usable(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.servers,
                acks="all",
                enable_idempotence=True,
                max_request_size=4_000_000,
                request_timeout_ms=8_000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(5):
                    await producer.stop()
            except (KafkaError, TimeoutError):
                return
