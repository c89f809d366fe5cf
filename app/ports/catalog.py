"""Where agents are read from."""

from abc import abstractmethod
from typing import Protocol

from app.domain.model.agents import AgentCatalog


class CatalogSource(Protocol):
    @abstractmethod
    def load(self) -> AgentCatalog:
        """Every agent there is; raise `InvalidAgent` with all that is wrong in all of them."""
