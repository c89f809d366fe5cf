"""The fleet in the gateway's metrics, as heartbeats tell it."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.domain.use_cases.fleet import Fleet
from app.entrypoints.gateway.fleet_resources import WorkerList

_STATES = ("healthy", "stale", "stopped")


class FleetCollector(Collector):
    """Asked at each scrape; every gateway says the same, so take the `max`."""

    def __init__(self, fleet: Fleet, registry: CollectorRegistry) -> None:
        self._fleet = fleet
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        known = WorkerList.of(self._fleet)
        healthy = [worker for worker in known.items if worker.state == "healthy"]
        workers = GaugeMetricFamily("crewline_fleet_workers", "Workers.", labels=["state"])
        states: Counter[str] = Counter(worker.state for worker in known.items)
        for state in _STATES:
            workers.add_metric([state], states[state])
        yield workers
        yield _gauge(
            "crewline_fleet_slots",
            "Tasks that all healthy workers may run at once.",
            sum(worker.slots for worker in healthy),
        )
        yield _gauge(
            "crewline_fleet_running",
            "Tasks that healthy workers have in hand.",
            sum(len(worker.running) for worker in healthy),
        )
        yield _gauge(
            "crewline_fleet_oldest_running_seconds",
            "For how long the oldest of them has been running.",
            max((task.age_seconds for worker in healthy for task in worker.running), default=0),
        )
        yield self._lag([(share.topic, share.lag) for each in healthy for share in each.topics])
        yield _gauge(
            "crewline_fleet_heard_age_seconds",
            "How long ago it was certain that nothing of the fleet escaped this gateway.",
            float("inf") if known.age_seconds is None else known.age_seconds,
        )

    def _lag(self, shares: list[tuple[str, int]]) -> GaugeMetricFamily:
        lag = GaugeMetricFamily(
            "crewline_fleet_lag_messages",
            "Messages that no worker has started, of those that healthy workers own.",
            labels=["topic"],
        )
        waiting: Counter[str] = Counter()
        for topic, number in shares:
            waiting[topic] += number
        for topic, number in sorted(waiting.items()):
            lag.add_metric([topic], number)
        return lag


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, description, value=value)
