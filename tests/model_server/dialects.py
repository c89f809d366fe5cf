"""How OpenAI and Anthropic write an answer, whole and as a stream. Pure data, no I/O."""

import json
from collections.abc import Iterator
from typing import Protocol

from tests.model_server.steps import USUAL, CallTools, Fail, Spoil, Text

Json = dict[str, object]
Frame = tuple[str | None, Json | str]
"""A server-sent event: its name, if the dialect names events, and its data."""


class Dialect(Protocol):
    def whole(self, step: Text | CallTools, model: str, number: int) -> Json: ...

    def stream(self, step: Text | CallTools, model: str, number: int) -> Iterator[Frame]: ...

    def error(self, step: Fail | Spoil) -> Json: ...


def words(text: str) -> list[str]:
    """The text in the pieces it is streamed in."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)] if text else []


class OpenAI(Dialect):
    """Chat completions."""

    def whole(self, step: Text | CallTools, model: str, number: int) -> Json:
        message: Json = {"role": "assistant", "content": None}
        if isinstance(step, Text):
            message["refusal" if step.refuses else "content"] = step.text
        else:
            message["tool_calls"] = _functions(step, number)
        choice = {"index": 0, "message": message, "finish_reason": _openai_reason(step)}
        head = _openai_head("chat.completion", model, number)
        return {**head, "choices": [choice], **_openai_usage(step)}

    def stream(self, step: Text | CallTools, model: str, number: int) -> Iterator[Frame]:
        head = _openai_head("chat.completion.chunk", model, number)

        def chunk(delta: Json, reason: str | None = None) -> Frame:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            often = isinstance(step, Text) and step.counts_often
            return None, {**head, "choices": [choice], **(_openai_usage(step) if often else {})}

        yield chunk({"role": "assistant", "content": ""})
        if isinstance(step, Text):
            for word in words(step.text):
                yield chunk({"refusal" if step.refuses else "content": word})
        else:
            for index, call in enumerate(_functions(step, number)):
                yield chunk({"tool_calls": [{"index": index, **call}]})
        if reason := _openai_reason(step):
            yield chunk({}, reason)
        if usage := _openai_usage(step):
            yield None, {**head, "choices": [], **usage}
        yield None, "[DONE]"

    def error(self, step: Fail | Spoil) -> Json:
        code = step.code if isinstance(step, Fail) else None
        return {"error": {"message": step.message, "type": step.kind, "code": code}}


class Anthropic(Dialect):
    """Messages."""

    def whole(self, step: Text | CallTools, model: str, number: int) -> Json:
        return {
            **self._head(step, model, number),
            "content": self._blocks(step, number),
            "stop_reason": self._reason(step),
        }

    def stream(self, step: Text | CallTools, model: str, number: int) -> Iterator[Frame]:
        opening = {**self._head(step, model, number), "content": [], "stop_reason": None}
        yield self._event("message_start", message=opening)
        for index, block in enumerate(self._blocks(step, number)):
            empty: Json = {"text": ""} if block["type"] == "text" else {"input": {}}
            start = {**block, **empty}
            yield self._event("content_block_start", index=index, content_block=start)
            for delta in self._deltas(block):
                yield self._event("content_block_delta", index=index, delta=delta)
            yield self._event("content_block_stop", index=index)
        ending = {"stop_reason": self._reason(step), "stop_sequence": None}
        if ending["stop_reason"] is not None:
            yield self._event("message_delta", delta=ending, usage=self._usage(step))
            yield self._event("message_stop")

    def error(self, step: Fail | Spoil) -> Json:
        return {"type": "error", "error": {"type": step.kind, "message": step.message}}

    @staticmethod
    def _event(name: str, **data: object) -> Frame:
        return name, {"type": name, **data}

    @staticmethod
    def _reason(step: Text | CallTools) -> str | None:
        if isinstance(step, CallTools):
            return "tool_use"
        usual = "refusal" if step.refuses else "end_turn"
        return usual if step.ends == USUAL else step.ends

    @staticmethod
    def _head(step: Text | CallTools, model: str, number: int) -> Json:
        about = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model}
        return {**about, "stop_sequence": None, "usage": Anthropic._usage(step)}

    @staticmethod
    def _usage(step: Text | CallTools) -> object:
        if isinstance(step, Text) and step.usage != USUAL:
            return step.usage or {}
        return {"input_tokens": step.input_tokens, "output_tokens": step.output_tokens}

    @staticmethod
    def _blocks(step: Text | CallTools, number: int) -> list[Json]:
        if isinstance(step, Text):
            return [{"type": "text", "text": step.text}] if step.text else []
        return [
            {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": name, "input": arguments}
            for index, (name, arguments) in enumerate(step.calls)
        ]

    @staticmethod
    def _deltas(block: Json) -> Iterator[Json]:
        if block["type"] == "text":
            for word in words(str(block["text"])):
                yield {"type": "text_delta", "text": word}
        else:
            yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}


def _openai_head(kind: str, model: str, number: int) -> Json:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1_700_000_000, "model": model}


def _openai_reason(step: Text | CallTools) -> str | None:
    if isinstance(step, CallTools):
        return "tool_calls"
    return "stop" if step.ends == USUAL else step.ends


def _openai_usage(step: Text | CallTools) -> Json:
    if isinstance(step, Text) and step.usage != USUAL:
        return {} if step.usage is None else {"usage": step.usage}
    total = step.input_tokens + step.output_tokens
    spent = {"prompt_tokens": step.input_tokens, "completion_tokens": step.output_tokens}
    return {"usage": {**spent, "total_tokens": total}}


def _functions(step: CallTools, number: int) -> list[Json]:
    return [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(step.calls)
    ]
