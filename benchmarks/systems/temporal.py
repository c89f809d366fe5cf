"""Temporal: a workflow of one activity, with the timeouts that make a crash noticed."""

import asyncio
import itertools
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

with workflow.unsafe.imports_passed_through():
    from benchmarks.ledger import note
    from benchmarks.load import body
    from benchmarks.system import TEMPORAL, Sleep, System

LONG = timedelta(hours=1)
HEARTBEAT = timedelta(seconds=10)


@activity.defn
async def answer(message: dict[str, Any]) -> dict[str, Any]:
    return {"i": message["i"], "ok": True}


@activity.defn
async def sleep(key: str, seconds: float) -> None:
    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(2)

    note("began", key)
    beating = asyncio.create_task(beat())
    await asyncio.sleep(seconds)
    beating.cancel()
    note("ended", key)


@workflow.defn
class Noop:
    @workflow.run
    async def run(self, message: dict[str, Any]) -> dict[str, Any]:
        return await workflow.execute_activity(answer, message, start_to_close_timeout=LONG)


@workflow.defn
class Sleeping:
    @workflow.run
    async def run(self, key: str, seconds: float) -> None:
        await workflow.execute_activity(
            sleep, args=[key, seconds], start_to_close_timeout=LONG, heartbeat_timeout=HEARTBEAT
        )


class Temporal(System):
    package = "temporalio"
    settings = (
        "a workflow of one activity, heartbeat timeout 10 s, heartbeat every 2 s, 100 activity "
        "slots or as many as slots, SQLite in a file"
    )
    slots = 100

    async def __aenter__(self) -> Self:
        self._client = await Client.connect(os.environ[TEMPORAL])
        await _namespace_known(self._client)
        self._queues = itertools.count(1)
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def fresh(self) -> None:
        self._queue = f"bench-{next(self._queues)}"

    def worker(self, slots: int) -> list[str]:
        return [sys.executable, "-m", __name__, self._queue, str(slots)]

    async def ask(self) -> None:
        await self._client.execute_workflow(
            Noop.run, body(1), id=uuid.uuid4().hex, task_queue=self._queue
        )

    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:  # noqa: ARG002
        for key, seconds in sleeps:
            await self._client.start_workflow(
                Sleeping.run, args=[key, seconds], id=uuid.uuid4().hex, task_queue=self._queue
            )


async def _namespace_known(client: Client) -> None:
    """A server built from Go has no namespace yet, and takes seconds to notice a new one."""
    request = RegisterNamespaceRequest(namespace=client.namespace)
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    async with asyncio.timeout(60):
        while True:
            try:
                await client.start_workflow(
                    Noop.run, body(1), id=uuid.uuid4().hex, task_queue="nobody"
                )
            except RPCError:
                await asyncio.sleep(0.2)
            else:
                return


async def work(queue: str, slots: str) -> None:
    from temporalio.worker import Worker  # noqa: PLC0415  # the client does not need it

    client = await Client.connect(os.environ[TEMPORAL])
    await Worker(
        client,
        task_queue=queue,
        workflows=[Noop, Sleeping],
        activities=[answer, sleep],
        max_concurrent_activities=int(slots),
    ).run()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:3]))
