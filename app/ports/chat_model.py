"""Asks a chat model, whoever serves it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
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
MOST_TOKENS = 10_000_000
"""Of one request or one answer: no model reads or writes more, so that a greater count is none."""


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
        return _about_tokens(*said, *offered, *schema) + _TOKENS_A_MESSAGE * len(self.messages)

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
    counted: bool = True
    """False where the tokens are our estimate: the provider counted none, or none that can be."""

    @property
    def about_output_tokens(self) -> int:
        """An estimate from its length."""
        return _about_tokens(self.text, *map(repr, self.tool_calls))

    def checked(self, request: ChatRequest) -> "ChatAnswer":
        """The same answer; with tokens estimated where those counted cannot be true."""
        if self.counted and are_counts(self.input_tokens, self.output_tokens, self.cached_tokens):
            return self
        return replace(
            self,
            input_tokens=request.about_input_tokens,
            output_tokens=self.about_output_tokens,
            cached_tokens=0,
            counted=False,
        )


def are_counts(input_tokens: object, output_tokens: object, cached_tokens: object = 0) -> bool:
    """Whether an answered call can have taken so many tokens.

    A provider that counts nothing often says 0, which no request has.
    """
    given = (input_tokens, output_tokens, cached_tokens)
    counts = [each for each in given if isinstance(each, int) and not isinstance(each, bool)]
    if len(counts) < len(given):
        return False
    asked, answered, cached = counts
    return 0 < asked <= MOST_TOKENS and 0 <= answered <= MOST_TOKENS and 0 <= cached <= asked


def _about_tokens(*texts: str) -> int:
    return -(-sum(len(text.encode(errors="replace")) for text in texts) // _BYTES_A_TOKEN)


class ModelFailed(PlatformError):
    """A model gave no answer; the subclass says why, `status` the HTTP status if there was one."""

    code = "model-failed"
    answer: ChatAnswer | None = None
    """What it said all the same, where that is of no use but costs what an answer does."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        asked: bool = True,
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.asked = asked
        """False where we kept the call back: the provider has not heard of it."""
        self.answered = answered
        """Whether the provider had begun to answer, which it may charge for."""
        self.retry_after = retry_after
        """Seconds the provider asked us to wait, where it did."""

    @property
    def took(self) -> ChatAnswer | None:
        """What the call took: nothing before an answer began, and None where it is not known."""
        return self.answer or (None if self.answered else ChatAnswer(""))


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


class SpoiltAnswer(ModelFailed):
    """The model was asked and answered, but what it said is of no use as an answer."""

    def __init__(self, message: str, answer: ChatAnswer | None = None) -> None:
        super().__init__(message, answered=True)
        if answer is not None:
            self.answer = answer


class EmptyAnswer(SpoiltAnswer):
    """The model answered nothing at all."""

    code = "model-empty-answer"
    retryable = True


class UnreadableAnswer(SpoiltAnswer):
    """The model's answer was not the data that was asked for."""

    code = "output-invalid"


class AnswerCut(SpoiltAnswer):
    """The answer is not whole: it reached the length that model, provider or request allow."""

    code = "model-answer-cut"


class ModelDeclined(SpoiltAnswer):
    """The model, or a filter of its provider's, declined to answer; the message has its words."""

    code = "model-declined"


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

    def key_faults(self, model: Model) -> tuple[str, ...]:  # noqa: ARG002
        """What is wrong with those that are set, each as a sentence without the key itself."""
        return ()
