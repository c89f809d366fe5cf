"""What a worker has in hand and what waits for it, in its metrics."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.domain.use_cases.presence import Presence


class PresenceMeter(Collector):
    """Asked at each scrape; empty until the worker is there."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._presence: Presence | None = None
        registry.register(self)

    def watch(self, presence: Presence) -> None:
        self._presence = presence

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._presence is None:
            return
        yield GaugeMetricFamily(
            "crewline_worker_oldest_running_seconds",
            "For how long the oldest task in hand has been running; 0 when there is none.",
            value=self._presence.hands.oldest(),
        )
        lag = GaugeMetricFamily(
            "crewline_worker_lag_messages",
            "Messages of the worker's own partitions that have not been started.",
            labels=["topic"],
        )
        waiting = GaugeMetricFamily(
            "crewline_worker_oldest_waiting_seconds",
            "How old the oldest of them is, of those that have been fetched; 0 when none waits.",
            labels=["topic"],
        )
        now = datetime.now(UTC)
        for share in self._presence.shares:
            came = share.oldest_waiting_at
            lag.add_metric([share.topic], share.lag)
            age = (now - came).total_seconds() if came else 0.0
            waiting.add_metric([share.topic], max(age, 0.0))
        yield lag
        yield waiting
