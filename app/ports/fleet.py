"""How the workers of a fleet know of each other, and others of them."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import WorkerId


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker has been taken off the list."""

    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class Heard:
    """A word of a worker, as a listener hears it."""

    word: WorkerHeartbeat | Gone
    live: bool
    """Whether it came while we listened; the others are of some time before."""


class Heartbeats(Protocol):
    """Where a worker says that it lives."""

    @abstractmethod
    async def send(self, heartbeat: WorkerHeartbeat) -> None:
        """Return once every listener is bound to hear it, else raise `LogUnavailable`."""

    @abstractmethod
    async def withdraw(self, worker_id: WorkerId) -> None:
        """Take a worker off the list: whoever begins to listen hears nothing of it any more."""


class FleetFeed(Protocol):
    """All that workers say, in one order for everybody."""

    @abstractmethod
    def heard(self) -> AsyncIterator[Heard]:
        """Yield at least the last word of each worker, then each further one as it comes.

        Whoever hears a heartbeat has heard all that were sent before it.
        """
