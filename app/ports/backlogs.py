"""How much waits for each agent, running tasks included."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from app.domain.model.ids import AgentName


class Depth(NamedTuple):
    """What is known of an agent's tasks, over everything it reads from."""

    open: int
    """Handed in and not done."""
    done: int
    """Done so far; only its growth means something."""


class Backlogs(Protocol):
    @abstractmethod
    async def look(self) -> Mapping[AgentName, Depth]:
        """Every agent of which tasks were ever handed in, as it stands; raise `LogUnavailable`.

        Tasks that wait for a time of their own do not count.
        """

    @abstractmethod
    def topics(self) -> Mapping[str, int]:
        """How many tasks wait or run in each topic, as of the last look.

        Topics are told that no agent can have by their name, too; nobody reads those.
        """
