import asyncio
import stat
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from app.domain.model.ids import TaskId
from app.entrypoints.bootstrap import extras, late_store
from app.entrypoints.bootstrap.late_store import open_late
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.bootstrap.stores import open_store
from app.entrypoints.settings import Settings, SettingsError
from app.ports.status_store import StoreUnavailable

UNHEARD = TaskId("0190c0de-0000-7000-8000-000000000000")
POSTGRES = Settings.model_validate({"store": {"url": "postgresql://me@localhost/x"}})
REDIS = Settings.model_validate({"limits": {"redis_url": "redis://localhost"}})


def views(folder: Path) -> Settings:
    return Settings.model_validate({"store": {"url": f"sqlite:///{folder}/views.db"}})


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None: ...

    monkeypatch.setattr(extras, "find_spec", nothing)


@pytest.mark.usefixtures("_bare")
async def test_a_driver_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(
        SettingsError, match=r"CREWLINE_STORE__URL needs the extra `postgres`: .*'\.\[postgres\]'"
    ):
        async with open_store(POSTGRES):
            pass
    with pytest.raises(SettingsError, match=r"REDIS_URL needs the extra `redis`: .*'\.\[redis\]'"):
        async with open_limits(REDIS):
            pass


@pytest.mark.usefixtures("_bare")
async def test_a_worker_ends_where_its_driver_is_missing() -> None:
    with pytest.raises(SettingsError, match="CREWLINE_STORE__URL needs"):
        async with asyncio.timeout(10), open_late(POSTGRES):
            await asyncio.Event().wait()


@pytest.mark.parametrize("url", ["me:hunter2@db:port/x", "me:hunter2@[::db/x"])
async def test_a_url_that_cannot_be_read_ends_who_wants_it_and_shows_no_password(url: str) -> None:
    settings = Settings.model_validate({"store": {"url": f"postgresql://{url}"}})
    for opened in (
        open_store(settings, up_to_date=True),
        open_store(settings),
        open_late(settings),
    ):
        with pytest.raises(SettingsError, match=r"CREWLINE_STORE__URL=\*\*\*: not a") as raised:
            async with asyncio.timeout(10), opened:
                await asyncio.Event().wait()
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("password", ["p/w", "p?w", "p#w", "p[w"])
async def test_a_password_may_have_any_character_its_parser_takes(password: str) -> None:
    url = f"postgresql://me:{password}@localhost/x"
    async with open_store(Settings.model_validate({"store": {"url": url}})):
        pass


async def test_views_without_room_are_unavailable_and_end_who_wants_them(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for opened in (open_store(views(tmp_path / "file")), open_late(views(tmp_path / "file"))):
        with pytest.raises(StoreUnavailable, match="no folder"):
            async with asyncio.timeout(10), opened:
                await asyncio.Event().wait()


async def test_what_the_body_raises_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="ours"):
        async with open_late(views(tmp_path)):
            raise LookupError("ours")


async def test_who_asks_before_the_views_are_open_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = views(tmp_path)
    async with open_store(settings, up_to_date=True):
        pass
    loads = threading.Event()

    def slow_to_load(name: str) -> ModuleType:
        assert loads.wait(10)
        return import_module(name)

    monkeypatch.setattr(late_store, "import_module", slow_to_load)
    async with asyncio.timeout(10), open_late(settings) as store:
        canceled, waiting = (asyncio.create_task(store.find(UNHEARD)) for _ in range(2))
        await asyncio.sleep(0)
        canceled.cancel()
        await asyncio.wait({canceled})
        assert not waiting.done()
        loads.set()
        assert await waiting is None


async def test_views_that_cannot_be_read_are_unavailable_to_who_asks(tmp_path: Path) -> None:
    async with asyncio.timeout(10), open_late(views(tmp_path)) as store:
        with pytest.raises(StoreUnavailable):  # nobody has made the tables
            await store.find(UNHEARD)


def _modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_views_in_a_file_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "views"
    async with open_store(views(folder), up_to_date=True) as store:
        await store.find(UNHEARD)
        assert _modes(folder) == {"views.db": 0o600, "views.db-wal": 0o600, "views.db-shm": 0o600}
    assert _modes(tmp_path) | _modes(tmp_path / "new") == {"new": 0o700, "views": 0o700}


async def test_views_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    async with open_store(views(folder), up_to_date=True):
        for each in folder.iterdir():
            each.chmod(0o644)
        async with open_store(views(folder), up_to_date=True) as second:  # as in `crewline dev`
            await second.find(UNHEARD)
            assert set(_modes(folder).values()) == {0o600}
    assert _modes(tmp_path) == {"shared": 0o755}  # it may be open to others on purpose
