"""What an agent may use besides its model."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from pydantic import JsonValue

from app.domain.model.errors import PlatformError, Rejected
from app.ports.agent_runtime import RunContext


class ToolRefused(Rejected):
    """The arguments make no sense; whoever chose them is told, and may choose better ones."""

    code = "tool-refused"


class ToolFailed(PlatformError):
    """The tool could not do its work: the run cannot go on without it."""

    code = "tool-failed"

    def __init__(
        self, message: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.worth_retrying = retryable
        self.retry_after = retry_after


class Tool(Protocol):
    """Does one thing for an agent. Cancelling `call` stops it.

    A tool with an effect on the world makes it repeatable with `context.idempotency_key`.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What agents and models call it: letters, digits and `_`."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does and when to use it, for the model."""

    @property
    @abstractmethod
    def arguments(self) -> dict[str, JsonValue]:
        """The JSON Schema, an object, of the arguments it takes."""

    @abstractmethod
    async def call(self, arguments: Mapping[str, JsonValue], context: RunContext) -> str:
        """Return the outcome as text for the model; raise `ToolRefused` or `ToolFailed`."""
