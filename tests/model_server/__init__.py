"""A chat-model provider on 127.0.0.1 that says what it is told to: no network, no money.

It speaks OpenAI's chat completions and Anthropic's messages, streamed or not, so the real SDKs
run against it. Tests script it in process; `python -m tests.model_server` serves it to a demo.
"""

from tests.model_server.server import ModelServer, Seen
from tests.model_server.steps import (
    CallTools,
    Drop,
    Fail,
    Garble,
    Hang,
    Spoil,
    Step,
    Text,
    context_overflow,
    overloaded,
    rate_limited,
    unauthorized,
)

__all__ = [
    "CallTools",
    "Drop",
    "Fail",
    "Garble",
    "Hang",
    "ModelServer",
    "Seen",
    "Spoil",
    "Step",
    "Text",
    "context_overflow",
    "overloaded",
    "rate_limited",
    "unauthorized",
]
