"""What a projector counts and times: its batches, seen from the feed they come from."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.ports.event_log import Batch, EventFeed, Offsets, StoredOffsets

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONGEST_BATCH = 90.0
"""Seconds: a store may be away for 60, and then the projector ends by itself."""


class ProjectorMeter:
    """The projector's instruments, and the decorator that reads them off its feed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.consuming = False
        """Whether the feed has come as far as to ask where to read from."""
        self._taken_at: float | None = None
        self._size = 0
        self._messages = Counter(
            "crewline_projected_messages",
            "Messages folded into the views.",
            registry=registry,
        )
        self._batches = Histogram(
            "crewline_projection_batch_seconds",
            "Time to fold a batch and store it, waiting for the store included.",
            buckets=_BUCKETS,
            registry=registry,
        )

        self._passed_over = Counter(
            "crewline_projection_passed_over",
            "Records that the views pass over because they cannot be read.",
            registry=registry,
        )

    def feed(self, feed: EventFeed) -> EventFeed:
        return _MeteredFeed(feed, self)

    @property
    def goes_on(self) -> bool:
        """Whether the batch in hand, if there is one, is not taking for ever."""
        return self._taken_at is None or perf_counter() - self._taken_at < _LONGEST_BATCH

    def took(self, batch: Batch) -> None:
        self._taken_at = perf_counter()
        self._size = len(batch.records)

    def passed_over(self, messages: int) -> None:
        self._passed_over.inc(messages)

    def refused(self) -> None:
        """Another projector was first: nothing of the batch in hand was stored."""
        self._size = 0

    def done(self) -> None:
        if self._taken_at is not None:
            self._batches.observe(perf_counter() - self._taken_at)
            self._messages.inc(self._size)
            self._taken_at = None


class _MeteredFeed(EventFeed):
    def __init__(self, inner: EventFeed, meter: ProjectorMeter) -> None:
        self._inner = inner
        self._meter = meter

    async def batches(self, stored: StoredOffsets) -> AsyncIterator[Batch]:
        batches = self._inner.batches(_Asked(stored, self._meter))
        async with aclosing(batches):  # type: ignore[type-var]  # it ends when we do
            async for batch in batches:
                self._meter.passed_over(self._inner.passed_over - self.passed_over)
                self.passed_over = self._inner.passed_over
                self._meter.took(batch)
                yield batch
                self._meter.done()  # whoever asks for the next batch has done the last one

    async def rewind(self) -> None:
        self._meter.refused()
        await self._inner.rewind()

    async def ends(self) -> Offsets:
        return await self._inner.ends()

    async def starts(self) -> Offsets:
        return await self._inner.starts()


class _Asked(StoredOffsets):
    def __init__(self, inner: StoredOffsets, meter: ProjectorMeter) -> None:
        self._inner = inner
        self._meter = meter

    async def offsets(self) -> Offsets:
        offsets = await self._inner.offsets()
        self._meter.consuming = True
        return offsets
