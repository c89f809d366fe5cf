"""Makes LangChain's integrations take what some servers answer, and drop nothing of it.

They are adapted on the one object, by the methods with which they read an answer or a piece of it:

- OpenAI's drops the words with which a model streams a refusal;
- Azure's drops an answer that its filter cut;
- all of them stumble over counts that are no numbers, and lose the whole answer over that;
- Anthropic's stumbles over an error that comes with the status 200.
"""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

_UNCOUNTED = 0
"""Stands for a count that is none: no answer costs that, so it is taken for not counted."""


def tolerant(chat: BaseChatModel) -> BaseChatModel:
    """The same chat model."""
    if speaks_openai(chat):
        _adapt(chat, "_convert_chunk_to_generation_chunk", _openai_piece)
        _adapt(chat, "_create_chat_result", _openai_whole, of="BaseChatOpenAI")
    elif _is_a(chat, "ChatAnthropic"):
        _adapt(chat, "_make_message_chunk_from_anthropic_event", _anthropic_piece)
        _adapt(chat, "_format_output", _anthropic_whole)
    return chat


def speaks_openai(asked: object) -> bool:
    """Whether it is asked through OpenAI's integration, or one that is made of it."""
    return _is_a(getattr(asked, "bound", asked), "BaseChatOpenAI")


def _is_a(chat: object, name: str) -> bool:
    return any(kind.__name__ == name for kind in type(chat).__mro__)


def _adapt(chat: BaseChatModel, method: str, by: Any, of: str | None = None) -> None:
    """Overrule a method of this object; pydantic's own way to set one knows fields only.

    With `of` the method of that class is the usual one, and not what is made of it.
    """
    kinds = {kind.__name__: kind for kind in type(chat).__mro__}
    usual = getattr(kinds[of], method).__get__(chat) if of else getattr(chat, method, None)
    if usual is not None:
        object.__setattr__(chat, method, lambda *args, **named: by(usual, *args, **named))


def _openai_piece(usual: Any, chunk: dict[str, Any], *about: Any, **named: Any) -> Any:
    usage = chunk.get("usage")
    if usage is not None and not _countable(usage):
        chunk = {**chunk, "usage": None}
    made = usual(chunk, *about, **named)
    for choice in chunk.get("choices") or () if made else ():
        if refusal := (choice.get("delta") or {}).get("refusal"):
            made.message.additional_kwargs["refusal"] = refusal  # LangChain adds texts up
    return made


def _openai_whole(usual: Any, response: Any, *about: Any, **named: Any) -> Any:
    usage = getattr(response, "usage", None)
    if isinstance(usage, list | tuple | str | int | float):
        response.usage = None
    else:
        _tidy(usage)
    return usual(response, *about, **named)


def _anthropic_piece(usual: Any, event: Any, *about: Any, **named: Any) -> Any:
    for holder in (event, getattr(event, "message", None)):
        _tidy(getattr(holder, "usage", None))
    return usual(event, *about, **named)


def _anthropic_whole(usual: Any, data: Any, *about: Any, **named: Any) -> Any:
    if getattr(data, "content", None) is None and (error := getattr(data, "error", None)):
        raise ValueError(error)
    _tidy(getattr(data, "usage", None))
    return usual(data, *about, **named)


def _countable(usage: object) -> bool:
    if not isinstance(usage, Mapping):
        return False
    counts = [value for name, value in usage.items() if str(name).endswith("_tokens")]
    return all(each is None or _is_number(each) for each in counts)


def _tidy(usage: object) -> None:
    for name, value in list(getattr(usage, "__dict__", {}).items()):
        if name.endswith("_tokens") and value is not None and not _is_number(value):
            setattr(usage, name, _UNCOUNTED)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
