"""Asks a chat model, whoever serves it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from app.domain.model.errors import PlatformError

Schema = dict[str, JsonValue]
Model = str
"""`provider:name`, such as `openai:gpt-4.1-mini`."""
OnText = Callable[[str], None]
"""Takes a piece of the answer's text as it comes, on the event loop; it must not block."""

_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants this tool called."""

    id: str
    name: str
    arguments: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool the model may ask for; `arguments` is the JSON Schema of what it takes."""

    name: str
    description: str
    arguments: Schema


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    """What the assistant asked for in this turn."""
    answers: str | None = None
    """For a `tool` message: the id of the call it answers."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation that waits for the model's turn."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolOffer, ...] = ()
    answer_schema: Schema | None = None
    """A JSON Schema with a `title`, where the answer should be data rather than prose."""
    temperature: float | None = None
    max_tokens: int | None = None

    @property
    def about_input_tokens(self) -> int:
        """An estimate from its length: four bytes a token, and a few for each message."""
        said = [part for each in self.messages for part in (each.text, *map(repr, each.tool_calls))]
        offered = [f"{tool.name}{tool.description}{tool.arguments}" for tool in self.tools]
        schema = [str(self.answer_schema)] if self.answer_schema else []
        size = sum(len(text.encode()) for text in (*said, *offered, *schema))
        return -(-size // _BYTES_A_TOKEN) + _TOKENS_A_MESSAGE * len(self.messages)

    def about_tokens(self, answer_tokens: int) -> int:
        """The same with the answer, which has `answer_tokens` where no `max_tokens` caps it."""
        return self.about_input_tokens + self.about_answer_tokens(answer_tokens)

    def about_answer_tokens(self, usual: int) -> int:
        """What the answer may have: its cap, else the usual."""
        return usual if self.max_tokens is None else self.max_tokens


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The model's turn, and what it cost. Text may be empty only beside tool calls."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    data: JsonValue = None
    """The answer as data, where the request had an `answer_schema`."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """How many of the input tokens the provider had in its cache."""
    finish_reason: str | None = None
    id: str | None = None


class ModelFailed(PlatformError):
    """A model gave no answer; the subclass says why, `status` the HTTP status if there was one."""

    code = "model-failed"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        asked: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.asked = asked
        """False where we kept the call back: the provider has not heard of it."""
        self.retry_after = retry_after
        """Seconds the provider asked us to wait, where it did."""


class UnknownModel(ModelFailed):
    """No such model or provider, or the provider's package is not installed."""

    code = "model-unknown"


class ModelUnauthorized(ModelFailed):
    """The key is missing, wrong, or may not use this model."""

    code = "model-unauthorized"


class ModelRefused(ModelFailed):
    """The provider did not take the request as it stands."""

    code = "model-refused"


class ContextTooLong(ModelFailed):
    """The conversation is longer than the model reads."""

    code = "context-too-long"


class ModelRateLimited(ModelFailed):
    """Too many requests; `retry_after` says when to come back."""

    code = "model-rate-limited"
    retryable = True


class ModelUnavailable(ModelFailed):
    """The provider answered that it cannot answer now."""

    code = "model-unavailable"
    retryable = True


class ModelUnreachable(ModelFailed):
    """No connection, a connection that broke, or no answer in time."""

    code = "model-unreachable"
    retryable = True


class EmptyAnswer(ModelFailed):
    """The model answered nothing at all."""

    code = "model-empty-answer"
    retryable = True


class UnreadableAnswer(ModelFailed):
    """The model's answer was not the data that was asked for."""

    code = "output-invalid"


class ChatModels(Protocol):
    """Every chat model there is, by name.

    Nothing is tried twice here: the caller knows what another try is worth. Cancelling `ask`
    closes the connection to the provider.
    """

    @abstractmethod
    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        """Return the model's turn or raise `ModelFailed`; with `on_text` the text is streamed."""

    @abstractmethod
    def input_limit(self, model: Model) -> int | None:
        """How many tokens the model reads, where that is known."""

    @abstractmethod
    def missing_keys(self, model: Model) -> tuple[str, ...]:
        """The environment variables without which the model cannot be asked."""
