"""Where the views are: SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.adapters.sql.database import Database
from app.adapters.sql.letter_store import SqlLetterStore
from app.adapters.sql.opening import open_database
from app.adapters.sql.status_store import SqlStatusStore
from app.adapters.sql.view_store import SqlViewStore
from app.domain.model.ids import TaskId
from app.domain.model.task import Task
from app.entrypoints.bootstrap.extras import check_store_driver
from app.entrypoints.settings import Settings, SettingsError
from app.ports.event_log import Offsets, Shard
from app.ports.letter_store import LetterStore
from app.ports.private_files import make_private_folder
from app.ports.status_store import (
    Past,
    PastTasks,
    StatusStore,
    StoreUnavailable,
    Unfinished,
    ViewStore,
)


@dataclass(frozen=True, slots=True)
class Store(PastTasks):
    """The two sides of the views, and the dead letters among them."""

    status: StatusStore
    views: ViewStore
    letters: LetterStore
    _database: Database

    async def find(self, task_id: TaskId) -> Task | None:
        return await self.status.find(task_id)

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        return await self.status.past(task_ids)

    async def unfinished(self, shard: Shard, below: int, behind: int = -1) -> Sequence[Unfinished]:
        return await self.status.unfinished(shard, below, behind)

    async def offsets(self) -> Offsets:
        return await self.views.offsets()

    async def dump(self) -> list[str]:
        """Every row as a line: equal lines, equal views."""
        from app.adapters.sql.dump import dump  # noqa: PLC0415  seldom needed

        return await dump(self._database)


@asynccontextmanager
async def open_store(settings: Settings, *, up_to_date: bool = False) -> AsyncIterator[Store]:
    """Open the views; raise `SettingsError` for a URL or a driver that is none.

    Raises `StoreUnavailable` where they cannot be made or brought up to date.

    `up_to_date` makes the tables and brings them up to date first: for all but those processes
    that must be back at work in a moment.
    """
    check_store_driver(settings)
    url = settings.store.url.get_secret_value()
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        _make_room(Path(path).parent)
    async with AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(open_database(url))
        except ValueError as error:
            raise SettingsError([f"CREWLINE_STORE__URL=***: {error}"]) from error
        if up_to_date:
            from app.adapters.sql.migrate import migrate  # noqa: PLC0415  slow to load

            await migrate(url)
        status, views = SqlStatusStore(database), SqlViewStore(database)
        yield Store(status, views, SqlLetterStore(database), database)


def _make_room(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise StoreUnavailable(f"no folder for the views: {error}") from error
