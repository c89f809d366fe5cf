"""Our words for a conversation, and LangChain's."""

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import JsonValue

from app.domain.model.readable import as_text
from app.ports.chat_model import (
    ChatAnswer,
    ChatMessage,
    ChatRequest,
    EmptyAnswer,
    Model,
    ToolCall,
    ToolOffer,
    UnreadableAnswer,
)
from app.ports.finish_reasons import spoilt

_NAMES = ("finish_reason", "stop_reason", "done_reason", "stopReason")
"""Where integrations put it in `response_metadata`."""
_LONGEST_REASON = 100

Counts = Mapping[str, Any]
"""What an integration says of an answer's tokens; nothing of it has been looked at."""


def to_langchain(messages: Iterable[ChatMessage]) -> list[BaseMessage]:
    return [_message(each) for each in messages]


def as_function(tool: ToolOffer) -> dict[str, object]:
    """A tool as every integration's `bind_tools` takes it."""
    described = {"name": tool.name, "description": tool.description, "parameters": tool.arguments}
    return {"type": "function", "function": described}


def to_answer(
    message: AIMessage,
    model: Model,
    request: ChatRequest,
    data: JsonValue = None,
    *,
    counts: Counts | None = None,
    reason: str | None = None,
    streamed: bool = False,
) -> ChatAnswer:
    """The model's turn; raise what kind of failure it is where it is of no use.

    `counts` and `reason` are a stream's, whose pieces do not always add up to them.
    """
    counts = (message.usage_metadata or {}) if counts is None else counts
    asked, answered, cached = _counted(counts)
    answer = ChatAnswer(
        text=as_text(str(message.text)),
        tool_calls=tuple(
            ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=call["args"])
            for index, call in enumerate(message.tool_calls)
        ),
        data=data,
        input_tokens=asked,
        output_tokens=answered,
        cached_tokens=cached,
        finish_reason=reason if streamed else reason_of(message.response_metadata),
        id=message.id,
    ).checked(request)
    if failure := spoilt(answer, model, as_text(refusal_of(message)), streamed=streamed):
        raise failure
    if message.invalid_tool_calls:
        name = message.invalid_tool_calls[0]["name"]
        raise UnreadableAnswer(f"the model called {name} with arguments that are not JSON", answer)
    if not answer.text.strip() and not answer.tool_calls and data is None:
        raise EmptyAnswer("the model answered nothing", answer)
    return answer


def reason_of(metadata: Mapping[str, Any]) -> str | None:
    """The reason in an answer's, or a piece's, `response_metadata`."""
    found = next((metadata[name] for name in _NAMES if metadata.get(name)), None)
    if found is not None:
        return as_text(str(getattr(found, "name", found))[:_LONGEST_REASON])
    if metadata.get("status") == "incomplete":  # OpenAI's responses
        return str((metadata.get("incomplete_details") or {}).get("reason") or "incomplete")
    if metadata.get("status") in ("completed", "failed", "cancelled"):
        return str(metadata["status"])
    feedback = metadata.get("prompt_feedback")  # Google's, where it has no answer at all
    if isinstance(feedback, Mapping) and feedback.get("block_reason"):
        return "prompt_blocked"
    return None


def refusal_of(message: AIMessage) -> str:
    """The words with which a model refused, where they stand apart from an answer."""
    said = message.additional_kwargs.get("refusal")
    if said:
        return str(said)
    blocks = message.content if isinstance(message.content, list) else []
    said_in = (each.get("refusal") for each in blocks if isinstance(each, dict))
    return "".join(str(each) for each in said_in if each)


def _counted(counts: Counts) -> tuple[Any, Any, Any]:
    """Whatever it is: `ChatAnswer.checked` refuses what is no count."""
    details = counts.get("input_token_details")
    cached = details.get("cache_read") if isinstance(details, Mapping) else None
    found = (counts.get("input_tokens", 0), counts.get("output_tokens", 0), cached or 0)
    asked, answered, cached = (_whole(each) for each in found)
    return asked, answered, cached


def _whole(count: object) -> object:
    """7.0 is as good as 7 in JSON."""
    return int(count) if isinstance(count, float) and count.is_integer() else count


def _message(each: ChatMessage) -> BaseMessage:
    match each.role:
        case "system":
            return SystemMessage(each.text)
        case "user":
            return HumanMessage(each.text)
        case "assistant":
            calls = [
                {"id": call.id, "name": call.name, "args": call.arguments, "type": "tool_call"}
                for call in each.tool_calls
            ]
            return AIMessage(each.text, tool_calls=calls)
        case "tool":
            return ToolMessage(each.text, tool_call_id=each.answers or "")
