"""Now, and the randomness that makes names unique."""

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    @abstractmethod
    def now(self) -> datetime:
        """The current time, in UTC."""

    @abstractmethod
    def entropy(self) -> bytes:
        """Ten fresh random bytes."""
