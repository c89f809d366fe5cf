"""A rebuild clears nothing it cannot make anew, and ends when it cannot see how far it is."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.errors import Rejected
from app.entrypoints import rebuild
from app.entrypoints.bootstrap.memory_broker import MemoryBroker
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.settings import Settings, StoreSettings
from app.ports.event_log import EventFeed, LogUnavailable, Offsets
from app.ports.status_store import StoreUnavailable, ViewStore
from tests.builders import submitted, task_id


class AwayBroker(MemoryBroker):
    def feed(self, group: str | None, member: str | None = None) -> EventFeed:
        raise LogUnavailable("the ends of the log cannot be read now")


class ShakyViews(MemoryStatusStore):
    """Away when first asked for the offsets, and then, where `lasting`, for ever after."""

    def __init__(self, *, lasting: bool) -> None:
        super().__init__()
        self._asked = 0
        self._lasting = lasting

    async def offsets(self) -> Offsets:
        self._asked += 1
        if self._asked > 1 and (self._lasting or self._asked < 4):
            raise StoreUnavailable("away", retry_after=1_000 if self._lasting else 0)
        return await super().offsets()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    return Settings(store=StoreSettings.model_validate({"url": url}))


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Views that have one task."""
    broker = MemoryBroker()
    await broker.memory.publish(submitted())
    await rebuild._rebuild(settings, broker)
    async with open_store(settings) as store:
        yield store


@pytest.mark.parametrize(
    ("broker", "refusal"), [(AwayBroker(), LogUnavailable), (MemoryBroker(), Rejected)]
)
async def test_without_the_log_nothing_is_cleared(
    settings: Settings, store: Store, broker: MemoryBroker, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await rebuild._rebuild(settings, broker)
    assert await store.status.find(task_id())


async def test_an_empty_log_makes_empty_views(settings: Settings) -> None:
    assert await rebuild._rebuild(settings, MemoryBroker()) == 0


class ShortenedFeed(MemoryEventFeed):
    """The feed of a log whose retention has deleted the first records."""

    async def starts(self) -> Offsets:
        return {shard: min(end, 1) for shard, end in (await self.ends()).items()}


class ShortenedBroker(MemoryBroker):
    def feed(self, group: str | None, member: str | None = None) -> EventFeed:
        return ShortenedFeed(self.memory)


async def test_what_a_rebuild_would_forget_is_known_before(
    settings: Settings, store: Store
) -> None:
    whole, shortened = MemoryBroker(), ShortenedBroker()
    for broker in (whole, shortened):
        await broker.memory.publish(submitted())
    assert await rebuild._losses(settings, whole) is None
    deleted = await rebuild._losses(settings, shortened)
    assert deleted == "the log has deleted 1 of the messages that the views were made from"
    assert "another one" in str(await rebuild._losses(settings, MemoryBroker()))


def test_nothing_is_forgotten_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(Rejected, match="--yes"):
        rebuild._agree("the log has deleted 1 message")


async def replayed(settings: Settings, store: Store, views: ViewStore) -> int:
    broker = MemoryBroker()
    await broker.memory.publish(submitted())
    shaky = Store(store.status, views, store.letters, store._database)
    async with asyncio.timeout(5):
        return await rebuild._replay(settings, broker, shaky, broker.memory.ends())


async def test_views_that_are_away_for_a_moment_are_waited_for(
    settings: Settings, store: Store
) -> None:
    assert await replayed(settings, store, ShakyViews(lasting=False)) == 1


async def test_views_that_stay_away_end_the_rebuild(settings: Settings, store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        await replayed(settings, store, ShakyViews(lasting=True))
