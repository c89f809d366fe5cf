"""Where the views live: a place to run transactions in, the same for every database.

What is to be done in a transaction is a plain function of a SQLAlchemy connection. So SQLite can
do all of it in one visit to a thread: a driver that visits one for every call, as aiosqlite does,
needs many times as long for a small batch.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Dialect

Answer = TypeVar("Answer")
Work = Callable[[Connection], Answer]

PATIENCE = 10.0
"""Seconds to wait for another writer, a free connection or the server."""


class Database(Protocol):
    """Runs work; whatever the driver raises becomes `StoreUnavailable`."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """How SQL is spoken here."""

    @abstractmethod
    async def read(self, work: Work[Answer]) -> Answer:
        """Run single queries: each sees what is committed, and none waits for a writer."""

    @abstractmethod
    async def write(self, work: Work[Answer]) -> Answer:
        """Run one transaction: committed when the work returns, rolled back when it raises."""


def reason(error: Exception) -> str:
    """The first line of what a driver says, without SQLAlchemy's additions."""
    text = str(getattr(error, "orig", None) or error)
    return (text.splitlines() or [type(error).__name__])[0]
