"""The views are what the log says, whatever happened to the projectors; and a rebuild proves it."""

import asyncio
import json
import secrets
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from sqlalchemy import text

from app.adapters.sql.dump import dump
from app.adapters.sql.opening import open_database
from tests.e2e.fleet import Fleet
from tests.e2e.outside import (
    ENDED,
    EVERYTHING,
    Outside,
    caught_up,
    new_fleet,
    outside,
    standing,
)
from tests.waiting import until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

QUICK = {"CREWLINE_KAFKA__SESSION_TIMEOUT_SECONDS": "3"}
"""So that a projector that was killed is not waited for long."""


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def fleet(
    request: pytest.FixtureRequest, kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    store = None
    if request.param == "postgres":
        store = asyncio.run(empty_database(request.getfixturevalue("postgres_url")))
    fleet = new_fleet(tmp_path_factory.mktemp("rebuild"), kafka, store)
    fleet.environment |= QUICK
    with standing(fleet, *EVERYTHING):
        yield fleet


async def empty_database(server: str) -> str:
    """One for the whole module; it goes with the server."""
    name = f"test_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(server.replace("+asyncpg", ""))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def load(user: Outside, tasks: int) -> None:
    """Some complete, with traces; some fail, some are rejected, some belong together."""
    for number in range(tasks):
        labels = {"number": str(number), "strange": "a\x00b \U0001f6b2"}
        match number % 4:
            case 0:
                await user.produce("commands.business-analyst", body("a library", labels=labels))
            case 1:
                together = {"context_id": f"conversation\x00{number % 3}"}
                await user.produce("commands.sleeper", body("sleep", **together))
            case 2:
                await user.produce("commands.sleeper", body("x", parameters={"seconds": "soon"}))
            case _:
                await user.produce("commands.sleeper", b"not JSON", str(uuid.uuid4()).encode())


def body(asked: str, **more: object) -> bytes:
    return json.dumps({"input": asked, **more}).encode()


async def views(fleet: Fleet) -> list[str]:
    """All that they hold."""
    async with open_database(fleet.store) as database:
        return await dump(database)


async def states(fleet: Fleet) -> Counter[str]:
    """How many tasks the views have in each state."""
    rows = [json.loads(line) for line in await views(fleet)]
    return Counter(row[3] for row in rows if row[0] == "crewline_tasks")


async def all_ended(fleet: Fleet, tasks: int) -> None:
    async def ended() -> bool:
        fleet.refuse_dead()
        found = await states(fleet)
        return sum(found[state] for state in ENDED) == tasks

    await until_true(ended, within=60)
    await caught_up(fleet)


async def members(fleet: Fleet, number: int) -> None:
    """Return once so many projectors share the log."""
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    await admin.start()
    try:

        async def joined() -> bool:
            fleet.refuse_dead()
            (answer,) = await admin.describe_consumer_groups([f"{fleet.prefix}.projector"])
            _, _, state, _, _, found, *_ = answer.groups[0]
            return state == "Stable" and len(found) == number

        await until_true(joined, within=40)
    finally:
        await admin.close()


async def test_a_rebuild_changes_nothing_whether_a_projector_runs_or_not(
    fleet: Fleet, user: Outside
) -> None:
    await load(user, 40)
    await all_ended(fleet, 40)
    assert await states(fleet) == {"completed": 20, "failed": 10, "rejected": 10}
    checked = fleet.run("rebuild", "--check")
    assert (checked.returncode, checked.stdout) == (0, "The views are what the log says.\n")
    before = await views(fleet)
    assert len(before) > 200

    assert fleet.run("rebuild").returncode == 0

    async def as_before() -> bool:
        return await views(fleet) == before

    await until_true(as_before)
    assert await fleet.stop("projector") == 0
    assert json.loads(fleet.run("rebuild", "--json").stdout)["messages"] > 200
    assert await views(fleet) == before
    fleet.start("projector")


async def test_views_that_are_not_what_the_log_says_are_told_and_mended(
    fleet: Fleet, user: Outside
) -> None:
    total = sum((await states(fleet)).values()) + 8
    await load(user, 8)
    await all_ended(fleet, total)
    before = await views(fleet)
    spoil = text("UPDATE crewline_tasks SET state = 'canceled' WHERE state = 'failed'")
    async with open_database(fleet.store) as database:
        spoilt = await database.write(lambda views: views.execute(spoil).rowcount)
    assert spoilt >= 2
    checked = fleet.run("rebuild", "--check", "--json")
    assert checked.returncode == 4
    assert json.loads(checked.stdout) == {"different": 2 * spoilt, "equal": False}
    assert fleet.run("rebuild").returncode == 0

    async def as_before() -> bool:
        return await views(fleet) == before

    await until_true(as_before)


async def test_a_wrong_prefix_or_address_clears_nothing(
    fleet: Fleet, user: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = sum((await states(fleet)).values()) + 4
    await load(user, 4)
    await all_ended(fleet, total)
    wrong = {"CREWLINE_KAFKA__PREFIX": "wrong", "CREWLINE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    for (name, value), code in zip(wrong.items(), (4, 3), strict=True):
        with monkeypatch.context() as patch:
            patch.setitem(fleet.environment, name, value)
            refused = fleet.run("rebuild")
        assert refused.returncode == code
        assert len(refused.stderr.splitlines()) == 1
    assert sum((await states(fleet)).values()) == total


async def test_a_projector_killed_in_the_middle_leaves_no_trace(
    fleet: Fleet, user: Outside
) -> None:
    total = sum((await states(fleet)).values())
    in_the_middle = 0
    for _ in range(3):
        before, total = await states(fleet), total + 64
        loading = asyncio.create_task(load(user, 60))

        async def some_are_there(before: Counter[str] = before) -> bool:
            return await states(fleet) != before

        await until_true(some_are_there, within=60)
        await load(user, 4)  # the last of it, however much was seen of the others
        fleet.kill("projector")
        found = await states(fleet)
        in_the_middle += sum(found[state] for state in ENDED) < total
        await loading
        fleet.start("projector")
    assert in_the_middle
    await all_ended(fleet, total)
    assert fleet.run("rebuild", "--check").returncode == 0


async def test_projectors_side_by_side_make_the_same_views(fleet: Fleet, user: Outside) -> None:
    total = sum((await states(fleet)).values())
    fleet.start("projector", name="second")
    await load(user, 60)
    await members(fleet, 2)
    await load(user, 60)
    fleet.kill("second")
    await load(user, 60)
    await all_ended(fleet, total + 180)
    assert fleet.run("rebuild", "--check").returncode == 0


async def test_what_the_log_has_deleted_is_forgotten_only_where_somebody_says_so(
    fleet: Fleet, user: Outside
) -> None:
    """The last one here: from now on the log lacks what the views were made from."""
    before = sum((await states(fleet)).values())
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    await admin.start()
    try:
        deleted = {
            TopicPartition(f"{fleet.prefix}.commands.sleeper", number): RecordsToDelete(2)
            for number in range(3)
        }
        await admin.delete_records(deleted)
    finally:
        await admin.close()
    refused = fleet.run("rebuild")
    assert refused.returncode == 4
    assert "the log has deleted" in refused.stderr
    assert "--yes" in refused.stderr
    assert sum((await states(fleet)).values()) == before
    assert fleet.run("rebuild", "--yes").returncode == 0
