"""What the server can be told to do with a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

USUAL = "(usual)"
"""How an answer ends, and what it says of its tokens, where a step does not say."""


@dataclass(frozen=True, slots=True)
class Text:
    """Answer with this text; an empty one is the model that says nothing."""

    text: str
    input_tokens: int = 11
    output_tokens: int = 7
    after: float = 0
    """Seconds to think first."""
    ends: str | None = USUAL
    """The reason it stops, in the provider's words; None for an answer that ends without one."""
    usage: object = USUAL
    """What it says of its tokens, in the provider's form; None where it says nothing."""
    refuses: bool = False
    """The text is the model's refusal."""
    counts_often: bool = False
    """Each piece of a stream has the counts of all so far, as some servers send them."""


@dataclass(frozen=True, slots=True)
class CallTools:
    """Ask for these tools: pairs of a name and its arguments."""

    calls: tuple[tuple[str, Mapping[str, object]], ...]
    input_tokens: int = 11
    output_tokens: int = 7

    @classmethod
    def one(cls, name: str, **arguments: object) -> "CallTools":
        return cls(((name, arguments),))


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error."""

    status: int
    message: str = "scripted failure"
    kind: str = "server_error"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer; notice when the client goes away."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the connection: after the first words of a stream, or before an answer."""


@dataclass(frozen=True, slots=True)
class Garble:
    """Answer 200 with a body that is no JSON."""


@dataclass(frozen=True, slots=True)
class Spoil:
    """Answer 200 and then break off: after the first words of a stream, or in the body."""

    how: Literal["json", "error", "chunk", "gzip"]
    """By half a JSON text, an error in an event, a chunk without a length, or no gzip at all."""
    kind: str = "server_error"
    message: str = "scripted failure"


Step = Text | CallTools | Fail | Hang | Drop | Garble | Spoil


def rate_limited(retry_after: float = 7) -> Fail:
    headers = {"retry-after": f"{retry_after:g}"}
    return Fail(429, "Rate limit reached", "rate_limit_error", headers=headers)


def overloaded() -> Fail:
    return Fail(503, "The server is overloaded", "server_error")


def unauthorized() -> Fail:
    return Fail(401, "Incorrect API key provided", "authentication_error", "invalid_api_key")


def context_overflow() -> Fail:
    message = "prompt is too long: this model's maximum context length is 8192 tokens"
    return Fail(400, message, "invalid_request_error", "context_length_exceeded")


def as_step(said: object) -> Step:
    """A step as a script file writes it: a text, or an object with one of the keys below."""
    match said:
        case str():
            return Text(said)
        case {"text": str(text), **rest}:
            return Text(text, after=float(str(rest.get("after", 0))))
        case {"tool": str(name), **rest}:
            arguments = rest.get("arguments", {})
            return CallTools(((name, arguments if isinstance(arguments, dict) else {}),))
        case {"status": int(status), **rest}:
            headers = {"retry-after": str(rest["retry_after"])} if "retry_after" in rest else {}
            return Fail(status, str(rest.get("message", "scripted failure")), headers=headers)
        case {"hang": True}:
            return Hang()
        case {"drop": True}:
            return Drop()
    raise ValueError(f"not a step: {said!r}")
