"""What every EventFeed must do; each adapter's test class subclasses this."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.messages import Message
from app.ports.event_log import Batch, EventFeed, EventLog, Offsets, Shard, StoredOffsets
from tests.builders import completed, progressed, started, submitted, token

OpenFeed = Callable[[str | None], EventFeed]
"""A feed that is a member of the group of that name, or of none."""

PATIENCE = 60


class Views(StoredOffsets):
    """A reader that stores offsets beside what it read, and notices when they do not fit."""

    def __init__(self) -> None:
        self.read: list[Message | DeadLetter] = []
        self.stored: dict[Shard, int] = {}
        self.begun = asyncio.Event()

    async def offsets(self) -> Offsets:
        return dict(self.stored)

    def save(self, batch: Batch) -> bool:
        """Store a batch whole; False, and nothing stored, where another has moved the offsets."""
        if any(self.stored.get(shard, 0) != offset for shard, offset in batch.before.items()):
            return False
        self.read += [record.message for record in batch.records]
        self.stored |= batch.after
        if self.read:
            self.begun.set()
        return True

    async def follow(self, feed: EventFeed, count: int) -> "Views":
        """Read until so many messages are stored."""
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(self)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                if not self.save(batch):
                    await feed.rewind()
                if len(self.read) >= count:
                    return self
        return self


class EventFeedContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides a log to write to")

    @pytest.fixture
    def open_feed(self) -> OpenFeed:
        raise NotImplementedError("the subclass provides the feed under test")

    async def test_every_kind_of_message_is_read_from_the_start(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        messages = [submitted(), submitted("t-2", runtime="rules"), started(), token(sequence=2)]
        for message in messages:
            await log.publish(message)
        views = await Views().follow(open_feed("views"), 4)
        assert sorted(views.read, key=repr) == sorted(messages, key=repr)

    async def test_a_task_is_read_in_order(self, log: EventLog, open_feed: OpenFeed) -> None:
        told = [progressed(sequence=number) for number in range(1, 3_001)]
        for acknowledged in [await log.append(message) for message in told]:
            await acknowledged
        views = await Views().follow(open_feed(None), 3_000)
        assert views.read == told

    async def test_a_new_feed_goes_on_from_the_stored_offsets(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        await log.publish(started())
        views = await Views().follow(open_feed("views"), 1)
        await log.publish(completed())
        await views.follow(open_feed("views"), 2)
        assert views.read == [started(), completed()]

    async def test_the_stored_offsets_count_and_not_what_the_group_has_seen(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        await log.publish(started())
        await Views().follow(open_feed("views"), 1)
        rebuilt = await Views().follow(open_feed("views"), 1)
        assert rebuilt.read == [started()]

    async def test_what_comes_later_is_read_at_once(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        await log.publish(started())
        views, feed = Views(), open_feed(None)
        reading = asyncio.create_task(views.follow(feed, 2))
        async with asyncio.timeout(PATIENCE):
            await views.begun.wait()
        await log.publish(completed())
        async with asyncio.timeout(1):
            await reading

    async def test_a_batch_says_where_it_begins_and_ends(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        views, feed = Views(), open_feed(None)
        for sequence in (1, 2):
            await log.publish(progressed(sequence=sequence))
            await views.follow(feed, sequence)
        assert sum(views.stored.values()) == 2
        assert {s: o for s, o in (await feed.ends()).items() if o} == {
            shard: offset for shard, offset in views.stored.items() if offset
        }

    async def test_a_rewound_feed_asks_for_the_stored_offsets_again(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        told = [progressed(sequence=number) for number in range(1, 4)]
        for message in told:
            await log.publish(message)
        views, feed = Views(), open_feed(None)
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(views)) as batches:  # type: ignore[type-var]
            lost = 0
            async for batch in batches:
                if not lost and batch.records:  # as if another reader had been faster, and failed
                    lost += 1
                    await feed.rewind()
                elif not views.save(batch):
                    await feed.rewind()
                if len(views.read) == 3:
                    break
        assert views.read == told

    async def test_groups_do_not_share(self, log: EventLog, open_feed: OpenFeed) -> None:
        await log.publish(started())
        for group in ("views", "other-views"):
            views = await Views().follow(open_feed(group), 1)
            assert views.read == [started()]

    async def test_two_members_together_store_everything_once(
        self, log: EventLog, open_feed: OpenFeed
    ) -> None:
        views = Views()
        first = asyncio.create_task(views.follow(open_feed("views"), 200))
        second = asyncio.create_task(views.follow(open_feed("views"), 200))
        for number in range(200):
            await log.publish(started(f"t-{number}"))
            await asyncio.sleep(0.01)
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert sorted(map(repr, views.read)) == sorted(
            repr(started(f"t-{number}")) for number in range(200)
        )

    async def test_an_empty_log_ends_where_it_begins(self, open_feed: OpenFeed) -> None:
        feed = open_feed(None)
        assert not any((await feed.ends()).values())
        assert await feed.starts() == await feed.ends()
