"""What every LogEnds must tell; each adapter's test class subclasses this."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.use_cases.project_status import ProjectStatus
from app.domain.use_cases.views_lag import ViewsLag
from app.ports.event_log import EventFeed, EventLog, LogEnds
from tests.builders import canceled, started, stepped, submitted
from tests.waiting import until_true


@asynccontextmanager
async def projected(feed: EventFeed, views: MemoryStatusStore) -> AsyncIterator[None]:
    """Views that read the log as long as the context is open."""
    projecting = asyncio.create_task(ProjectStatus(feed, views).run())
    try:
        yield
    finally:
        projecting.cancel()
        with suppress(asyncio.CancelledError):
            await projecting


class LogEndsContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides a log to write to")

    @pytest.fixture
    def feed(self) -> EventFeed:
        raise NotImplementedError("the subclass provides a feed of that log")

    @pytest.fixture
    def log_ends(self) -> LogEnds:
        raise NotImplementedError("the subclass provides the ends under test")

    async def test_who_has_read_nothing_is_behind_whatever_tells_of_tasks(
        self, log: EventLog, log_ends: LogEnds
    ) -> None:
        lag = ViewsLag(log_ends, MemoryStatusStore())
        assert await lag.have_read(await lag.ends())
        await log.publish(stepped())  # of its task more is told elsewhere
        assert await lag.have_read(await lag.ends())
        await log.publish(submitted())
        assert not await lag.have_read(await lag.ends())

    async def test_views_that_have_read_all_are_not_behind(
        self, log: EventLog, feed: EventFeed, log_ends: LogEnds
    ) -> None:
        views = MemoryStatusStore()
        lag = ViewsLag(log_ends, views)
        for name in "abc":
            for message in (submitted(name), started(name), canceled(name, sequence=2)):
                await log.publish(message)
        ends = await lag.ends()
        assert not await lag.have_read(ends)
        async with projected(feed, views):
            await until_true(lambda: lag.have_read(ends), within=60)
            await log.publish(submitted("d"))
            later = await lag.ends()
            assert await lag.have_read(ends)
            await until_true(lambda: lag.have_read(later), within=60)
        await log.publish(started("d"))
        assert not await lag.have_read(await lag.ends())
