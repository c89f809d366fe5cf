"""What becomes of tasks where Kafka has forgotten offsets, a topic, or records nobody had read."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import CommitFailedError
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Outside, caught_up, outside
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

WORKER = ("worker", "--id", "worker-1", "--runtimes", "python")
SLEEPER = "commands.sleeper"
MANY = 1_100
"""Of which a worker that died may have begun 1,024 since it last committed."""
QUICK = b'{"input": "x", "parameters": {"seconds": 0}}'


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    for process in EVERYTHING[:2]:
        fleet.start(process)
    fleet.start(*WORKER)
    await fleet.ready()
    async with outside(fleet) as user:
        yield user


@asynccontextmanager
async def admin_of(fleet: Fleet) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def runs(fleet: Fleet) -> Counter[str]:
    """How often each task began."""
    return Counter(entry.task_id for entry in fleet.ledger if entry.what == "began")


async def ask_for_some(user: Outside) -> set[str]:
    """Tasks of each way to name them, more than a worker could have begun unseen; all ended."""
    ids = set()
    soon = datetime.now(UTC) + timedelta(seconds=3)
    for number in range(4):
        chosen, later = str(uuid.uuid4()), str(uuid.uuid4())
        await user.produce(SLEEPER, QUICK, chosen.encode())
        waits = json.dumps({"input": "x", "not_before": soon.isoformat()}).encode()
        await user.produce(SLEEPER, waits, later.encode())
        ids |= {chosen, later}
        ids.add(await user.submit("sleeper", {}))
        ids.add(await user.submit("sleeper", {"not_before": soon.isoformat()}))
        key = {"Idempotency-Key": f"{chosen}-{number}"}
        body = {"agent": "sleeper", "input": "x"}
        ids.add((await user.http.post("/v1/tasks", json=body, headers=key)).json()["id"])
    ids.update(await asyncio.gather(*(unnamed(user) for _ in range(MANY))))
    await until(lambda: runs(user.fleet) == Counter(ids), within=60)
    for task_id in ids:
        assert (await user.ended(task_id))["state"] == "completed"
    await caught_up(user.fleet)
    return ids


async def unnamed(user: Outside) -> str:
    return (await user.produce_unnamed(SLEEPER, QUICK))[1]


async def nothing_left(fleet: Fleet, group: str, topic: str) -> None:
    """Return once the group has committed all of a topic as done."""
    name, consumer = f"{fleet.prefix}.{topic}", AIOKafkaConsumer(bootstrap_servers=fleet.kafka)
    await consumer.start()
    try:
        async with admin_of(fleet) as admin:
            partitions = [TopicPartition(name, each) for each in range(3)]
            ends = await consumer.end_offsets(partitions)

            async def all_done() -> bool:
                fleet.refuse_dead()
                commits = await admin.list_consumer_group_offsets(group, partitions=partitions)
                done = {each: max(commit.offset, 0) for each, commit in commits.items()}
                return bool(done == ends)

            await until_true(all_done, within=120)
    finally:
        await consumer.stop()


async def named_anew(fleet: Fleet) -> None:
    """The group gets another name."""
    fleet.environment["CREWLINE_WORKER__GROUP"] = f"{fleet.prefix}.others"


async def expired(fleet: Fleet) -> None:
    """What the groups committed is deleted, as it is seven days after their last member left."""
    async with admin_of(fleet) as admin:
        for group in (group_of(fleet), f"{fleet.prefix}.retries"):
            coordinator = await admin.find_coordinator(group)

            async def deleted(group: str = group, coordinator: int = coordinator) -> bool:
                request = DeleteGroupsRequest([group])
                answer = await admin._send_request(request, coordinator)
                return [code for _, code in answer.results] == [0]

            await until_true(deleted, within=60)  # a static member is missed after its session


async def set_back(fleet: Fleet) -> None:
    """The groups begin at the start again, as `kafka-consumer-groups --reset-offsets` does it."""
    topics = {group_of(fleet): SLEEPER, f"{fleet.prefix}.retries": "retries"}
    for group, topic in topics.items():
        async with AIOKafkaConsumer(
            bootstrap_servers=fleet.kafka, group_id=group, enable_auto_commit=False
        ) as consumer:
            partitions = [TopicPartition(f"{fleet.prefix}.{topic}", each) for each in range(3)]
            consumer.assign(partitions)

            async def committed(
                consumer: AIOKafkaConsumer = consumer,
                partitions: list[TopicPartition] = partitions,
            ) -> bool:
                with suppress(CommitFailedError):  # the last member's session runs yet
                    await consumer.commit(dict.fromkeys(partitions, 0))
                    return True
                return False

            await until_true(committed, within=60)


def group_of(fleet: Fleet) -> str:
    return fleet.environment.get("CREWLINE_WORKER__GROUP", f"{fleet.prefix}.workers")


@pytest.mark.timeout(600)
async def test_nothing_that_has_ended_runs_again_where_offsets_are_lost(user: Outside) -> None:
    fleet, ids = user.fleet, await ask_for_some(user)
    for lose in (named_anew, expired, set_back):
        assert await fleet.stop("worker") == 0
        await lose(fleet)
        fleet.start(*WORKER)
        new = await user.submit("sleeper", {})
        assert (await user.ended(new, within=120))["state"] == "completed"
        ids.add(new)
        await nothing_left(fleet, f"{fleet.prefix}.retries", "retries")
        await nothing_left(fleet, group_of(fleet), SLEEPER)
        assert runs(fleet) == Counter(ids), lose.__doc__


async def delete_all(fleet: Fleet, topic: str) -> None:
    """Delete what stands there, as retention does it with what is old enough."""
    async with (
        AIOKafkaConsumer(bootstrap_servers=fleet.kafka) as consumer,
        admin_of(fleet) as admin,
    ):
        partitions = [TopicPartition(f"{fleet.prefix}.{topic}", each) for each in range(3)]
        ends = await consumer.end_offsets(partitions)
        await admin.delete_records({each: RecordsToDelete(end) for each, end in ends.items()})


async def test_what_is_deleted_before_a_worker_was_done_with_it_ends_and_says_so(
    user: Outside,
) -> None:
    fleet = user.fleet
    far = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    waits = await user.submit("sleeper", {"not_before": far})
    slow = await user.submit("sleeper", {"parameters": {"seconds": 600}})
    await until(lambda: set(runs(fleet)) == {slow})
    await in_the_delays(fleet, waits)
    fleet.kill("worker")
    unread = await user.submit("sleeper", {})
    unnamed_one = await unnamed(user)
    canceled = await user.submit("sleeper", {})
    await caught_up(fleet)
    assert (await user.http.post(f"/v1/tasks/{canceled}/cancel", json={})).is_success
    await delete_all(fleet, SLEEPER)

    fleet.start(*WORKER)
    for task_id in (unread, unnamed_one, slow):
        task = await user.ended(task_id, within=90)
        assert (task["state"], task["reason"]) == ("failed", "lost-by-retention")
        assert (task["error"]["code"], task["error"]["retryable"]) == ("lost-by-retention", True)
    assert (await user.ended(canceled, within=90))["state"] == "canceled"
    late = await user.http.post(f"/v1/tasks/{unread}/cancel", json={})
    assert (late.status_code, late.json()["code"]) == (409, "task-ended")
    new = await user.submit("sleeper", {})
    for task_id in (new, waits):
        assert (await user.ended(task_id, within=90))["state"] == "completed"
    assert runs(fleet) == Counter([slow, new, waits])


async def in_the_delays(fleet: Fleet, waiting: str) -> None:
    """Return once the delays have this task."""
    async with (
        AIOKafkaConsumer(
            f"{fleet.prefix}.retries", bootstrap_servers=fleet.kafka, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(60),
    ):
        while (await consumer.getone()).key != waiting.encode():
            pass


async def make_anew(fleet: Fleet, topic: str) -> None:
    async with admin_of(fleet) as admin:
        await admin.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await admin.list_topics()

        await until_true(is_gone)
    made = fleet.run("topics", "apply")
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("running", [True, False])
async def test_a_topic_made_anew_has_tasks_of_its_own(user: Outside, running: bool) -> None:
    fleet = user.fleet
    old = [await plain(user, f"old {number}") for number in range(3)]
    for task_id in old:
        assert (await user.ended(task_id))["state"] == "completed"
    await caught_up(fleet)
    if not running:
        await fleet.stop("worker")
    await make_anew(fleet, f"{fleet.prefix}.{SLEEPER}")
    if not running:
        fleet.start(*WORKER)
    new = [await plain(user, f"new {number}") for number in range(2)]
    for number, task_id in enumerate(new):
        task = await user.ended(task_id, within=120)
        assert task["state"] == "completed"

        async def is_known(task_id: str = task_id, number: int = number) -> bool:
            """Whether the views have read what was asked, too: the results may come first."""
            answer = await user.http.get(f"/v1/tasks/{task_id}")
            return bool(answer.json()["input"] == f"new {number}")

        await until_true(is_known, within=60)
    assert runs(fleet) == Counter([*old, *new])


async def plain(user: Outside, question: str) -> str:
    return (await user.produce_unnamed(SLEEPER, json.dumps({"input": question}).encode()))[1]
