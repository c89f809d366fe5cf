"""Why a model stopped, in the names that providers give it: whether its answer can be used."""

from app.ports.chat_model import (
    AnswerCut,
    ChatAnswer,
    ModelDeclined,
    ModelFailed,
    ModelUnavailable,
    ModelUnreachable,
)

_WHOLE = frozenset(
    {
        "complete",
        "completed",
        "end_turn",
        "eos",
        "eos_token",
        "function_call",
        "stop",
        "stop_sequence",
        "tool_call",
        "tool_calls",
        "tool_use",
    }
)
_DECLINED = ("filter", "refus", "safety", "block", "prohibited", "recitation", "spii", "toxic")
_DECLINED_TOO = frozenset({"guardrail_intervened", "language", "sensitive"})
_CUT = ("length", "max", "limit", "exceeded", "pause", "incomplete", "not_finished")
_BROKEN = ("error", "abort", "cancel", "fail", "malformed", "timeout", "unexpected", "unspecified")
_BROKEN_TOO = frozenset({"insufficient_system_resource", "other", "too_many_tool_calls"})

_TELL_IT = frozenset(
    {
        "anthropic",
        "azure_openai",
        "bedrock_converse",
        "deepseek",
        "fireworks",
        "google_genai",
        "google_vertexai",
        "groq",
        "mistralai",
        "ollama",
        "openai",
        "openrouter",
        "together",
        "xai",
    }
)
"""Providers whose streams say why they end: one that does not was broken off."""
_MOST_WORDS = 2_000
"""Characters of an answer that a failure keeps."""


def spoilt(
    answer: ChatAnswer, model: str, refusal: str = "", *, streamed: bool = False
) -> ModelFailed | None:
    """Why an answer must not be taken for a whole one; None where it may."""
    reason = answer.finish_reason
    name = (reason or "").rpartition(".")[2].lower()
    words = f": {answer.text[:_MOST_WORDS]}" if answer.text else ""
    if refusal or name in _DECLINED_TOO or any(part in name for part in _DECLINED):
        said = f": {refusal[:_MOST_WORDS]}" if refusal else words
        why = f" ({reason})" if reason and name not in _WHOLE else ""
        return ModelDeclined(f"{model} declined to answer{why}{said}", answer)
    if name in _WHOLE:
        return None
    failure: ModelFailed
    if any(part in name for part in _CUT):
        return AnswerCut(f"{model} was cut off in its answer ({reason}){words}", answer)
    if name in _BROKEN_TOO or any(part in name for part in _BROKEN):
        failure = ModelUnavailable(f"{model} broke off its answer ({reason}){words}", answered=True)
    elif not name and streamed and model.partition(":")[0] in _TELL_IT:
        failure = ModelUnreachable(
            f"{model} ended in the middle of its answer{words}", answered=True
        )
    else:
        return None
    failure.answer = answer
    return failure
