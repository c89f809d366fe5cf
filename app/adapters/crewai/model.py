"""A chat model of ours, as CrewAI wants its language models."""

import json
from collections.abc import Mapping
from typing import Any

from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.utilities.agent_utils import is_native_tool_calling_unsupported_error
from pydantic import BaseModel, Field, PrivateAttr
from typing_extensions import override

from app.adapters.crewai.braces import bare
from app.adapters.crewai.journal import Journal
from app.adapters.crewai.notes import COUNTED
from app.adapters.crewai.scope import RunScope, Stopped
from app.ports.chat_model import (
    ChatAnswer,
    ChatMessage,
    ChatModels,
    ChatRequest,
    Model,
    ModelFailed,
    ModelRefused,
    ToolCall,
    ToolOffer,
)

_USUAL_WINDOW = 128_000
_SPARE = 0.85
"""CrewAI sums a conversation up before it fills this part of what the model reads."""


class CrewModel(BaseLLM):
    """One run's way to a model: asks on the event loop, reports by CrewAI's own events."""

    _models: ChatModels = PrivateAttr()
    _full_name: Model = PrivateAttr()
    _scope: RunScope = PrivateAttr()
    _journal: Journal = PrivateAttr()
    _window: int = PrivateAttr()
    usage_of_failed: dict[str, dict[str, int]] = Field(default_factory=dict, exclude=True)
    """What calls took that failed, by their id: CrewAI's event of it has no room for that."""

    @classmethod
    def of(
        cls,
        models: ChatModels,
        model: Model,
        scope: RunScope,
        journal: Journal,
        window: int | None,
    ) -> "CrewModel":
        provider, _, name = model.partition(":")
        made = cls(model=name, provider=provider)
        made._models, made._full_name = models, model
        made._scope, made._journal = scope, journal
        made._window = int((window or _USUAL_WINDOW) * _SPARE)
        return made

    def supports_function_calling(self) -> bool:
        return True

    @override
    def supports_stop_words(self) -> bool:
        return False

    @override
    def get_context_window_size(self) -> int:
        return self._window

    @override
    def get_input_tokens_count(
        self, messages: Any, tools: Any = None, response_model: Any = None
    ) -> int:
        """An estimate: CrewAI would ask the provider before every single call."""
        texts = [messages] if isinstance(messages, str) else [_text(each) for each in messages]
        return sum(len(text) for text in texts) // 4 + 1

    @override
    def call(
        self,
        messages: Any,
        tools: list[dict[str, Any]] | None = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """Return text, tool calls or a `response_model`; called from the crew's threads."""
        request = _request(messages, tools, response_model)
        about = {"from_task": from_task, "from_agent": from_agent}
        with llm_call_context() as call_id:
            self._emit_call_started_event(messages="", **about)
            try:
                answer = self._scope.wait_for(lambda: self._ask(request, call_id))
                outcome = _outcome(answer, response_model)
            except Exception as error:
                if used := _spent_in_vain(self._scope.failure or error):
                    self.usage_of_failed[call_id] = used
                self._emit_call_failed_event(error=str(self._scope.failure or error), **about)
                if isinstance(error, Stopped) or _can_do_without(request.tools, error):
                    raise
                self._scope.fail(error)
            self._emit_call_completed_event(
                response=None,  # nobody reads it, and copying it takes time
                call_type=LLMCallType.TOOL_CALL if answer.tool_calls else LLMCallType.LLM_CALL,
                usage=self._spent(answer),
                finish_reason=answer.finish_reason,
                response_id=answer.id,
                **about,
            )
            return outcome

    @override
    async def acall(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("a crew runs in a thread, where models are called by `call`")

    async def _ask(self, request: ChatRequest, call_id: str) -> ChatAnswer:
        await self._journal.settled()  # whoever counts the cost may refuse this call
        on_text = None if request.answer_schema else self._journal.listener(call_id)
        return await self._models.ask(self._full_name, request, on_text)

    def _spent(self, answer: ChatAnswer) -> dict[str, int]:
        usage = _usage(answer)
        self._track_token_usage_internal(usage)
        return usage


def _usage(answer: ChatAnswer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "cached_prompt_tokens": answer.cached_tokens,
        COUNTED: answer.counted,
    }


def _spent_in_vain(error: Exception) -> dict[str, int] | None:
    """What a call took that failed; None where that is not known."""
    took = error.took if isinstance(error, ModelFailed) else ChatAnswer("")
    return None if took is None else _usage(took)


def _can_do_without(tools: tuple[ToolOffer, ...], error: Exception) -> bool:
    """Whether only the tools were refused: CrewAI then offers them in words."""
    refused = bool(tools) and isinstance(error, ModelRefused)
    return refused and is_native_tool_calling_unsupported_error(error)


def _request(
    messages: Any, tools: list[dict[str, Any]] | None, response_model: type[BaseModel] | None
) -> ChatRequest:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    schema = response_model.model_json_schema() if response_model is not None else None
    offers = () if response_model is not None else tuple(_offer(tool) for tool in tools or ())
    return ChatRequest(tuple(_message(turn) for turn in turns), offers, schema)


def _message(turn: Mapping[str, Any]) -> ChatMessage:
    role, text = turn["role"], bare(_text(turn))
    if role == "assistant":
        calls = tuple(_call(each) for each in turn.get("tool_calls") or ())
        return ChatMessage("assistant", text, calls)
    if role == "tool":
        return ChatMessage("tool", text, answers=turn["tool_call_id"])
    return ChatMessage("system" if role == "system" else "user", text)


def _text(turn: Mapping[str, Any]) -> str:
    content = turn.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def _call(said: Mapping[str, Any]) -> ToolCall:
    function = said["function"]
    return ToolCall(said["id"], function["name"], json.loads(function["arguments"] or "{}"))


def _offer(tool: Mapping[str, Any]) -> ToolOffer:
    function = tool.get("function", tool)
    return ToolOffer(function["name"], function.get("description", ""), function["parameters"])


def _outcome(answer: ChatAnswer, response_model: type[BaseModel] | None) -> Any:
    if response_model is not None:
        return response_model.model_validate(answer.data)
    if not answer.tool_calls:
        return answer.text
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in answer.tool_calls
    ]
