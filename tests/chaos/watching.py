"""Those who look on: clients that follow tasks, and an auditor who reads the groups' commits."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.offsets import Snapshot
from app.domain.model.lifecycle import TaskState
from tests.chaos.history import Commit, History, Seen
from tests.chaos.partitions import are_commands, partitions_of

ENDINGS = frozenset(state.value for state in TaskState if state.terminal)

_PAGES = ("/v1/tasks?limit=100", "/v1/tasks?state=completed&limit=50")
"""The newest, and those that have ended while others wait."""


@dataclass(slots=True)
class Watcher:
    """Follows tasks over HTTP, one question after the other, and notes whatever is new."""

    gateways: Sequence[str]
    history: History
    chance: random.Random
    _last: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def ended(self) -> set[str]:
        """The tasks it has seen end."""
        return {task_id for task_id, news in self._last.items() if news[0] in ENDINGS}

    async def run(self, accepted: Sequence[Sequence[str]], stop: asyncio.Event) -> None:
        """Look at the newest tasks, and at some that were accepted, until stopped."""
        async with httpx.AsyncClient(timeout=5) as http:
            while not stop.is_set():
                for page in _PAGES:
                    await self._look_at_page(http, f"{self.chance.choice(self.gateways)}{page}")
                known = [task_id for ids in accepted for task_id in ids]
                for task_id in self.chance.sample(known, min(3, len(known))):
                    await self.look_at(http, self.chance.choice(self.gateways), task_id)
                await asyncio.sleep(0.4)

    async def sweep(self) -> None:
        """Look at every task once more, when all is quiet: an ending may have changed unseen."""
        cursor: str | None = ""
        async with httpx.AsyncClient(timeout=20) as http:
            while cursor is not None:
                page = f"{self.gateways[0]}/v1/tasks?limit=200"
                cursor = await self._look_at_page(
                    http, page + (f"&cursor={cursor}" if cursor else "")
                )

    async def _look_at_page(self, http: httpx.AsyncClient, page: str) -> str | None:
        began = time.time()
        try:
            answer = await http.get(page)
        except httpx.TransportError:
            return None
        if not answer.is_success:
            return None
        found = answer.json()
        gateway = page.partition("/v1")[0]
        for task in found["items"]:
            known = self._last.get(task["id"])
            if task["state"] == "completed" and (known is None or known[0] != "completed"):
                await self.look_at(http, gateway, task["id"])  # a list leaves results out
            elif task["state"] != "completed":
                self._note(gateway, began, task)
        cursor: str | None = found["next_cursor"]
        return cursor

    async def look_at(
        self, http: httpx.AsyncClient, gateway: str, task_id: str
    ) -> dict[str, Any] | None:
        """The task as this gateway shows it; None where it cannot be asked or knows nothing."""
        began = time.time()
        try:
            answer = await http.get(f"{gateway}/v1/tasks/{task_id}")
        except httpx.TransportError:
            return None
        if answer.status_code == 404:
            self._note(gateway, began, {"id": task_id, "state": "unknown"})
        if not answer.is_success:
            return None
        task: dict[str, Any] = answer.json()
        self._note(gateway, began, task)
        return task

    def _note(self, gateway: str, began: float, task: dict[str, Any]) -> None:
        outcome = task.get("result") or task.get("error")
        seen = Seen(
            task_id=task["id"],
            where=gateway,
            began=began,
            state=task["state"],
            reason=task.get("reason"),
            attempt=task.get("attempt", 0),
            sequence=task.get("sequence", 0),
            finished_at=task.get("finished_at"),
            outcome=outcome,
        )
        news = (
            seen.state,
            seen.reason,
            seen.attempt,
            seen.sequence,
            seen.finished_at,
            str(outcome),
        )
        if self._last.get(seen.task_id) != news:
            self._last[seen.task_id] = news
            self.history.add(seen)


@dataclass(slots=True)
class Auditor:
    """Notes, time and again, how far the workers' group says it is."""

    servers: str
    group: str
    prefix: str
    history: History
    _last: dict[TopicPartition, Snapshot] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._audit(stop)
            except (KafkaError, OSError, TimeoutError):
                await asyncio.sleep(0.5)

    async def _audit(self, stop: asyncio.Event) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers, request_timeout_ms=5_000)
        try:
            await admin.start()
            partitions = [
                name for name in await partitions_of(admin, self.prefix) if are_commands(name)
            ]
            while not stop.is_set():
                async with asyncio.timeout(8):
                    commits = await GroupOffsets(admin, self.group)(partitions)
                for name, commit in commits.items():
                    if self._last.get(name) != commit:
                        self._last[name] = commit
                        self.history.add(_entry(name, commit))
                await asyncio.sleep(0.5)
        finally:
            await admin.close()


def _entry(name: TopicPartition, commit: Snapshot) -> Commit:
    done = tuple(
        offset
        for offset in range(commit.position, commit.position + commit.done.bit_length())
        if commit.is_done(offset)
    )
    return Commit(topic=name.topic, partition=name.partition, position=commit.position, done=done)
