"""The projector folds what the log tells, once, whatever way it is cut into batches."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.lifecycle import TaskState
from app.domain.model.messages import Message
from app.domain.use_cases.project_status import ProjectStatus
from app.entrypoints.admin.projector_meter import ProjectorMeter
from app.ports.event_log import Batch, EventFeed, Offsets, Recorded, Shard, StoredOffsets
from app.ports.status_store import StoreUnavailable, TaskFilter, ViewUpdate
from tests.builders import (
    completed,
    failed,
    progressed,
    retry_scheduled,
    started,
    stepped,
    submitted,
    task_id,
)

COMMANDS = Shard("crewline.commands.business-analyst", 0)
RESULTS = Shard("crewline.results", 0)
TRACES = Shard("crewline.traces", 0)

LOG: dict[Shard, list[Message]] = {
    COMMANDS: [
        submitted("a", labels={"team": "blue"}),
        submitted("b", after=1),
        submitted("a", input="again"),
        submitted("c", after=2),
    ],
    RESULTS: [
        started("a"),
        started("b", after=2),
        retry_scheduled("a", after=3),
        started("a", attempt=2, after=4),
        completed("a", attempt=2, after=5),
        failed("a", attempt=1, sequence=3, after=6),
        progressed("b", after=7),
    ],
    TRACES: [stepped("a", sequence=4), stepped("b", sequence=3)],
}


class ReplayedFeed(EventFeed):
    """Serves a log from the stored offsets on, so many messages of one shard at a time."""

    def __init__(self, portions: Sequence[tuple[Shard, int]], start: Offsets | None = None) -> None:
        self._portions = portions
        self._start = start
        self._position: dict[Shard, int] = {}
        self._stored: StoredOffsets | None = None
        self.rewinds = 0

    async def batches(self, stored: StoredOffsets) -> AsyncIterator[Batch]:
        self._stored = stored
        self._position = dict(await stored.offsets() if self._start is None else self._start)
        for shard, length in [*self._portions, *((shard, 99) for shard in LOG)]:
            first = self._position.get(shard, 0)
            messages = LOG[shard][first : first + length]
            before = {shard: self._position[shard]} if shard in self._position else {}
            self._position[shard] = first + len(messages)
            records = [
                Recorded(message, shard, offset) for offset, message in enumerate(messages, first)
            ]
            yield Batch(records, before, {shard: self._position[shard]})

    async def rewind(self) -> None:
        assert self._stored is not None
        self.rewinds += 1
        self._position = dict(await self._stored.offsets())

    async def starts(self) -> Offsets:
        return dict.fromkeys(LOG, 0)

    async def ends(self) -> Offsets:
        return {shard: len(messages) for shard, messages in LOG.items()}


async def everything(store: MemoryStatusStore) -> object:
    tasks = (await store.list(TaskFilter(), 100, None)).items
    return tasks, [await store.events(task.id) for task in tasks], await store.offsets()


async def projected(*portions: tuple[Shard, int]) -> MemoryStatusStore:
    store = MemoryStatusStore()
    await ProjectStatus(ReplayedFeed(portions), store).run()
    return store


async def test_the_views_tell_what_the_log_tells() -> None:
    store = await projected()
    tasks = {task.id: task for task in (await store.list(TaskFilter(), 100, None)).items}
    a, b, c = (tasks[task_id(name)] for name in "abc")
    assert (a.state, a.attempt) == (TaskState.COMPLETED, 2)
    whole = await store.find(a.id)
    assert whole is not None
    assert whole.input == "What is Kafka?"
    assert (b.state, b.status_message) == (TaskState.WORKING, "thinking")
    assert c.state is TaskState.SUBMITTED
    assert [event.TYPE for event in await store.events(b.id)] == [
        "task.started.v1",
        "task.progressed.v1",
        "trace.step.v1",
    ]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(list(LOG)), st.integers(0, 4))))
async def test_however_the_log_is_cut_the_views_are_the_same(
    portions: list[tuple[Shard, int]],
) -> None:
    assert await everything(await projected(*portions)) == await everything(await projected())


async def test_a_projector_that_others_have_overtaken_rewinds_and_goes_on() -> None:
    store = await projected()
    before = await everything(store)
    feed = ReplayedFeed([(RESULTS, 3), (COMMANDS, 2)], start={})
    await ProjectStatus(feed, store).run()
    assert feed.rewinds == 1
    assert await everything(store) == before


async def test_a_restarted_projector_goes_on_where_the_views_stand() -> None:
    store = MemoryStatusStore()
    half = ReplayedFeed([(RESULTS, 4)])
    batches = half.batches(store)
    first = await anext(aiter(batches))
    projector = ProjectStatus(ReplayedFeed([]), store)
    await store.save(await projector._fold(first))
    await projector.run()
    assert await everything(store) == await everything(await projected())


class ShakyStore(MemoryStatusStore):
    """Is away now and then, once even after it has stored what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._saves = 0
        self._asked = 0

    async def offsets(self) -> Offsets:
        self._asked += 1
        if self._asked == 1:
            raise StoreUnavailable("away", retry_after=0)
        return await super().offsets()

    async def save(self, update: ViewUpdate) -> None:
        self._saves += 1
        if self._saves in (1, 2):
            raise StoreUnavailable("away", retry_after=0)
        await super().save(update)
        if self._saves == 3:
            raise StoreUnavailable("the answer was lost", retry_after=0)


async def test_a_store_that_is_away_for_a_moment_costs_nothing() -> None:
    store, feed = ShakyStore(), ReplayedFeed([(RESULTS, 3)])
    await ProjectStatus(feed, store).run()
    assert feed.rewinds == 1
    assert await everything(store) == await everything(await projected())


async def test_a_store_that_stays_away_ends_the_projector() -> None:
    class AwayStore(MemoryStatusStore):
        async def save(self, update: ViewUpdate) -> None:
            raise StoreUnavailable("away", retry_after=1_000)

    with pytest.raises(StoreUnavailable):
        await ProjectStatus(ReplayedFeed([]), AwayStore()).run()


async def test_offsets_that_cannot_be_read_for_long_end_the_projector() -> None:
    class AwayStore(MemoryStatusStore):
        async def offsets(self) -> Offsets:
            raise StoreUnavailable("away", retry_after=1_000)

    with pytest.raises(StoreUnavailable):
        await ProjectStatus(ReplayedFeed([]), AwayStore()).run()


@pytest.mark.parametrize("metered", [False, True])
async def test_a_projector_that_is_cancelled_while_it_saves_has_closed_its_feed(
    metered: bool,
) -> None:
    class ClosedFeed(ReplayedFeed):
        closed = False

        async def batches(self, stored: StoredOffsets) -> AsyncIterator[Batch]:
            try:
                async for batch in super().batches(stored):
                    yield batch
            finally:
                await asyncio.sleep(0)
                self.closed = True

    class HangingStore(MemoryStatusStore):
        async def save(self, update: ViewUpdate) -> None:
            saving.set()
            await asyncio.Event().wait()

    saving, feed = asyncio.Event(), ClosedFeed([])
    read = ProjectorMeter(CollectorRegistry()).feed(feed) if metered else feed
    projecting = asyncio.create_task(ProjectStatus(read, HangingStore()).run())
    await asyncio.wait_for(saving.wait(), 5)
    projecting.cancel()
    await asyncio.wait({projecting}, timeout=5)
    assert projecting.cancelled()
    assert feed.closed
