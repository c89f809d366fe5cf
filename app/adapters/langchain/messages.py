"""Our words for a conversation, and LangChain's."""

from collections.abc import Iterable

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from pydantic import JsonValue

from app.domain.model.readable import as_text
from app.ports.chat_model import (
    ChatAnswer,
    ChatMessage,
    EmptyAnswer,
    ToolCall,
    ToolOffer,
    UnreadableAnswer,
)


def to_langchain(messages: Iterable[ChatMessage]) -> list[BaseMessage]:
    return [_message(each) for each in messages]


def as_function(tool: ToolOffer) -> dict[str, object]:
    """A tool as every integration's `bind_tools` takes it."""
    described = {"name": tool.name, "description": tool.description, "parameters": tool.arguments}
    return {"type": "function", "function": described}


def to_answer(message: AIMessage, data: JsonValue = None) -> ChatAnswer:
    """The model's turn; raise `EmptyAnswer` or `UnreadableAnswer` where it is of no use."""
    if message.invalid_tool_calls:
        name = message.invalid_tool_calls[0]["name"]
        raise UnreadableAnswer(f"the model called {name} with arguments that are not JSON")
    text = as_text(str(message.text))
    if not text.strip() and not message.tool_calls and data is None:
        raise EmptyAnswer("the model answered nothing")
    usage = message.usage_metadata or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    about = message.response_metadata
    return ChatAnswer(
        text=text,
        tool_calls=tuple(
            ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=call["args"])
            for index, call in enumerate(message.tool_calls)
        ),
        data=data,
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cached_tokens=usage.get("input_token_details", {}).get("cache_read", 0) or 0,
        finish_reason=about.get("finish_reason") or about.get("stop_reason"),
        id=message.id,
    )


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
