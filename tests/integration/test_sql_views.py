"""What the SQL views promise beyond the port: migrations, rebuilds, several writers at once."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.adapters.sql import postgres
from app.adapters.sql.database import Database
from app.adapters.sql.dump import dump
from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.schema import metadata
from app.adapters.sql.status_store import SqlStatusStore
from app.adapters.sql.view_store import SqlViewStore
from app.domain.model.events import ResultEvent
from app.domain.model.lifecycle import TaskState
from app.domain.model.messages import Message
from app.domain.model.progress import fold
from app.ports.event_log import Shard
from app.ports.status_store import OffsetsMoved, StoreUnavailable, ViewUpdate
from tests.builders import TRACEPARENT, completed, started, submitted, task_id, token
from tests.contracts.views import COMMANDS, RESULTS, TRACES, update

NAMES = [f"t-{n}" for n in range(60)]
LOG: dict[Shard, Callable[[str], list[Message]]] = {
    COMMANDS: lambda name: [submitted(name, labels={"n": name}, traceparent=TRACEPARENT)],
    RESULTS: lambda name: [started(name, traceparent=TRACEPARENT), completed(name, sequence=3)],
    TRACES: lambda name: [token(name, sequence=2)],
}
"""What each shard tells of each task."""


async def project(views: SqlViewStore, shard: Shard, per_batch: int, order: Random) -> None:
    """Save one shard's part of the log, the tasks of each batch in an order of its own."""
    for first in range(0, len(NAMES), per_batch):
        names = NAMES[first : first + per_batch]
        order.shuffle(names)
        news = update(*(message for name in names for message in LOG[shard](name)))
        progress = {
            task_id(name): fold(fold(None, told[0], 2 * n), told[1], 2 * n + 1)
            for n, name in enumerate(NAMES)
            if name in names
            and len(told := [m for m in LOG[shard](name) if isinstance(m, ResultEvent)]) == 2
        }
        await views.save(
            ViewUpdate(
                commands=news.commands,
                progress=progress,
                events=news.events,
                before={shard: first} if first else {},
                after={shard: first + len(names)},
            )
        )


def migrate_here(url: str) -> None:
    """Migrate with an event loop of its own, as another process would."""
    asyncio.run(migrate(url))


def project_here(url: str, shard: Shard) -> None:
    """Project with an event loop and connections of its own, as another process would."""

    async def projected() -> None:
        async with open_database(url) as database:
            await project(SqlViewStore(database), shard, 3, Random(shard.topic))

    asyncio.run(projected())


class SqlViewsPromises:
    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("the subclass says where its database is")

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        await migrate(url)
        async with open_database(url) as database:
            yield database

    async def test_those_that_start_together_migrate_once(self, url: str) -> None:
        await asyncio.gather(*(asyncio.to_thread(migrate_here, url) for _ in range(3)))
        async with open_database(url) as database:
            assert await dump(database) == []

    async def test_the_migrations_lead_to_the_tables_the_code_sees(
        self, database: Database
    ) -> None:
        def differences(connection: Connection) -> object:
            options = {"version_table": "crewline_schema"}
            return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

        assert await database.read(differences) == []

    async def test_views_built_again_from_the_log_are_equal_to_the_byte(
        self, database: Database
    ) -> None:
        views = SqlViewStore(database)
        dumps = []
        for seed, per_batch in enumerate((1, 7, 60)):
            order = Random(seed)
            await views.clear()
            for shard in order.sample(sorted(LOG), len(LOG)):
                await project(views, shard, per_batch, order)
            dumps.append(await dump(database))
        assert len(dumps[0]) == len(NAMES) * (1 + 1 + 3) + len(LOG)
        assert dumps[0] == dumps[1] == dumps[2]

    async def test_projectors_that_work_side_by_side_build_the_same_views(
        self, database: Database, url: str
    ) -> None:
        views = SqlViewStore(database)
        for shard in LOG:
            await project(views, shard, 60, Random(0))
        expected = await dump(database)
        await views.clear()
        await asyncio.gather(*(asyncio.to_thread(project_here, url, shard) for shard in LOG))
        assert await dump(database) == expected

    async def test_writers_of_the_same_tasks_do_not_block_each_other_for_good(
        self, database: Database
    ) -> None:
        views = SqlViewStore(database)
        names, order = [f"many-{n}" for n in range(300)], Random(7)
        for read in range(5):
            asked = [*map(submitted, order.sample(names, 300))]
            told = [*map(started, order.sample(names, 300))]
            before = [{shard: read} if read else {} for shard in (COMMANDS, RESULTS)]
            await asyncio.gather(
                views.save(update(*asked, before=before[0], after={COMMANDS: read + 1})),
                views.save(update(*told, before=before[1], after={RESULTS: read + 1})),
            )

    async def test_of_two_writers_of_one_shard_one_is_refused(self, database: Database) -> None:
        views = SqlViewStore(database)
        for start in (0, 1):
            before = {RESULTS: start} if start else {}
            news = [
                update(started("a"), before=before, after={RESULTS: start + 1}),
                update(started("b"), before=before, after={RESULTS: start + 1}),
            ]
            outcomes = await asyncio.gather(*map(views.save, news), return_exceptions=True)
            assert sorted(map(type, outcomes), key=str) == [type(None), OffsetsMoved]

    async def test_a_save_that_is_cancelled_happened_whole_or_not_at_all(
        self, database: Database
    ) -> None:
        views = SqlViewStore(database)
        for pause in (0, 0.0005, 0.001, 0.002, 0.005):
            await views.clear()
            batch = update(*map(submitted, NAMES), started("t-1"), after={COMMANDS: 60})
            saving = asyncio.create_task(views.save(batch))
            await asyncio.sleep(pause)
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)
            async with asyncio.timeout(10):
                await views.save(update(after={TRACES: 1}))  # waits for what is under way
            lines = await dump(database)
            assert len(lines) in (1, len(NAMES) + 1 + 2)

    async def test_tables_that_are_missing_are_said_to_be_unavailable(self, url: str) -> None:
        async with open_database(url) as database:
            with pytest.raises(StoreUnavailable):
                await SqlStatusStore(database).ping()

    async def test_an_error_does_not_quote_what_was_given(self, url: str) -> None:
        asked = text("SELECT id FROM missing WHERE id = :given").bindparams(given="a secret")
        async with open_database(url) as database:
            with pytest.raises(StoreUnavailable) as caught:
                await database.read(lambda views: views.execute(asked))
        assert "FROM missing" in str(caught.value.__cause__)
        assert "a secret" not in str(caught.value.__cause__)


class TestOnSqlite(SqlViewsPromises):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite+aiosqlite:///{tmp_path}/views.db"

    async def test_a_reader_does_not_wait_for_a_writer(
        self, database: Database, tmp_path: Path
    ) -> None:
        await SqlViewStore(database).save(update(submitted()))
        with sqlite3.connect(tmp_path / "views.db", isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE crewline_tasks SET state = 'working'")
            async with asyncio.timeout(8):  # who waits for it does so for ten
                task = await SqlStatusStore(database).find(task_id())
            writer.execute("ROLLBACK")
        assert task is not None
        assert task.state is TaskState.SUBMITTED

    async def test_a_folder_that_is_missing_is_said_to_be_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable):
            await migrate(f"sqlite:///{tmp_path}/missing/views.db")


class TestOnPostgres(SqlViewsPromises):
    @pytest.fixture
    def url(self, postgres_database: str) -> str:
        return postgres_database

    async def test_a_query_that_takes_too_long_is_given_up(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        monkeypatch.setattr(postgres, "PATIENCE", 3)
        async with asyncio.timeout(20), open_database(url) as impatient:
            with pytest.raises(StoreUnavailable):
                await impatient.read(lambda views: views.exec_driver_sql("SELECT pg_sleep(60)"))
            await SqlStatusStore(impatient).ping()

    async def test_both_databases_hold_the_same_rows_in_the_same_order(
        self, database: Database, tmp_path: Path
    ) -> None:
        await migrate(f"sqlite:///{tmp_path}/views.db")
        async with open_database(f"sqlite:///{tmp_path}/views.db") as other:
            for shard in LOG:
                await project(SqlViewStore(database), shard, 7, Random(1))
                await project(SqlViewStore(other), shard, 60, Random(2))
            assert await dump(database) == await dump(other)


async def test_a_server_that_is_away_is_said_to_be_unavailable() -> None:
    async with open_database("postgresql://nobody@127.0.0.1:1/none") as database:
        with pytest.raises(StoreUnavailable):
            await SqlStatusStore(database).ping()


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "views"])
async def test_an_address_that_cannot_hold_views_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"views|URL"):
        async with open_database(url):
            pass
