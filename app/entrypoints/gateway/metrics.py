"""What the gateway counts: requests by route, and tasks by agent and outcome."""

from functools import partial
from math import nan
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName
from app.domain.use_cases.admit_task import Admission
from app.entrypoints.gateway.last_resort import HEAD

UNTIMED = "crewline.untimed"
"""In a scope whose duration says nothing about us: a stream that lasts as long as its task."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class GatewayMetrics:
    """The gateway's instruments, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Time from a request's head to the end of its answer, event streams left out.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.accepted = Counter(
            "crewline_tasks_accepted", "Tasks accepted over HTTP.", ("agent",), registry=registry
        )
        self.refused = Counter(
            "crewline_tasks_refused",
            "Tasks not accepted over HTTP; the agent is empty where none could be told.",
            ("agent", "code"),
            registry=registry,
        )
        self._backlog = Gauge(
            "crewline_backlog_tasks",
            "Tasks handed in and not done, running ones included; NaN while nobody can tell.",
            ("agent",),
            registry=registry,
        )
        settled = Counter(
            "crewline_dead_letters_settled",
            "Dead letters redriven or discarded over HTTP.",
            ("state",),
            registry=registry,
        )
        self.redriven, self.discarded = map(settled.labels, ("redriven", "discarded"))
        self.streams = Gauge("crewline_event_streams", "Event streams open now.", registry=registry)

    def watch(self, admission: Admission, catalog: AgentCatalog) -> None:
        """Show how much waits for each agent."""
        for agent in catalog:
            self._backlog.labels(agent.name).set_function(partial(_waiting, admission, agent.name))


def _waiting(admission: Admission, agent: AgentName) -> float:
    waiting = admission.waiting(agent)
    return nan if waiting is None else waiting


class Metered:
    """Times every request under its route's template."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._requests = metrics.requests
        self._children: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            if UNTIMED not in scope:
                self._child(scope, status).observe(perf_counter() - began)

    def _child(self, scope: Scope, status: int) -> Histogram:
        method = "HEAD" if HEAD in scope else scope["method"]
        key = (
            method if method in _METHODS else "_OTHER",
            getattr(scope.get("route"), "path", ""),
            status,
        )
        if key not in self._children:
            self._children[key] = self._requests.labels(*key)
        return self._children[key]
