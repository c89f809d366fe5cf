"""The SQL letters keep what every store of letters promises, on both databases."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from app.adapters.sql.database import Database
from app.adapters.sql.dump import dump
from app.adapters.sql.letter_store import SqlLetterStore
from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.view_store import SqlViewStore
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.letters import Settlement
from tests.contracts.dead_letters import NOT_TEXT, letter
from tests.contracts.letter_store import LetterStoreContract, LetterViews, discarded, redriven


class SqlLetters(LetterStoreContract):
    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        await migrate(url)
        async with open_database(url) as database:
            yield database

    @pytest.fixture
    def views(self, database: Database) -> LetterViews:
        return LetterViews(SqlLetterStore(database), SqlViewStore(database))

    async def test_letters_read_in_any_order_make_equal_rows(
        self, views: LetterViews, database: Database
    ) -> None:
        strange = letter(origin=replace(letter().origin, value=NOT_TEXT))
        told: list[DeadLetter | Settlement] = [
            strange,
            letter(8),
            redriven(letter(8)),
            discarded(letter()),
        ]
        dumps = []
        for order in permutations(told):
            await views.writer.clear()
            for each in order:
                await views.hear(each)
            dumps.append(await dump(database))
        assert len(dumps[0]) == 2
        assert all(lines == dumps[0] for lines in dumps)


class TestOnSqlite(SqlLetters):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/views.db"


class TestOnPostgres(SqlLetters):
    @pytest.fixture
    def url(self, postgres_database: str) -> str:
        return postgres_database
