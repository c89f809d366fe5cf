"""Asks any provider's model by LangChain's `init_chat_model`."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, cast

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from pydantic import JsonValue

from app.adapters.langchain.messages import as_function, to_answer, to_langchain
from app.adapters.langchain.providers import Providers, split
from app.adapters.langchain.streams import Stream
from app.adapters.langchain.tolerant import tolerant
from app.ports.chat_model import (
    ChatAnswer,
    ChatModels,
    ChatRequest,
    Model,
    ModelUnauthorized,
    OnText,
    Schema,
    UnknownModel,
    UnreadableAnswer,
)
from app.ports.sdk_errors import translated

_MOST_KEPT = 64
"""Models kept open. Each holds a connection pool, and a task may name one of many models."""

_Key = tuple[Model, float | None, int | None]


class LangChainChatModels(ChatModels):
    """Every chat model for which a LangChain integration is installed.

    Opening one costs some 35 ms, so they are kept. One object belongs to one event loop.
    """

    def __init__(
        self,
        timeout: float = 120,
        base_urls: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._timeout = timeout
        self._providers = Providers(environ, base_urls or {})
        self._open: dict[_Key, BaseChatModel] = {}

    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        try:
            return await self._ask(model, request, on_text)
        except Exception as error:  # each integration raises what its SDK raises
            failure = translated(error, model)
            if failure is error:
                raise
            raise failure from error

    def input_limit(self, model: Model) -> int | None:
        try:
            profile = self._opened((model, None, None)).profile or {}
        except Exception as error:  # noqa: BLE001 - asking it will say why it cannot be opened
            del error
            return None
        return profile.get("max_input_tokens")

    def missing_keys(self, model: Model) -> tuple[str, ...]:
        provider, _ = split(model)
        return self._providers.missing_keys(provider)

    def key_faults(self, model: Model) -> tuple[str, ...]:
        provider, _ = split(model)
        return self._providers.key_faults(provider)

    async def _ask(self, model: Model, request: ChatRequest, on_text: OnText | None) -> ChatAnswer:
        key = (model, request.temperature, request.max_tokens)
        chat = self._open.get(key)
        if chat is None:  # the first opening imports the integration, which takes seconds
            chat = await asyncio.to_thread(self._opened, key)
        messages = to_langchain(request.messages)
        if request.answer_schema is not None:
            return await _ask_for_data(chat, messages, model, request, request.answer_schema)
        asked: Runnable[LanguageModelInput, AIMessage] = chat
        if request.tools:
            asked = chat.bind_tools([as_function(tool) for tool in request.tools])
        if on_text is None:
            return to_answer(await asked.ainvoke(messages), model, request)
        return await Stream(asked, messages, on_text).answer(model, request)

    def _opened(self, key: _Key) -> BaseChatModel:
        if chat := self._open.get(key):
            return chat
        model, temperature, max_tokens = key
        provider, name = split(model)
        if missing := self._providers.missing_keys(provider):
            raise ModelUnauthorized(f"{model} needs {' and '.join(missing)}")
        if faults := self._providers.key_faults(provider):
            raise ModelUnauthorized(f"{model}: {'; '.join(faults)}")
        provider, settings = self._providers.construction(provider, name)
        about: dict[str, Any] = {"max_retries": 0, "timeout": self._timeout, **settings}
        if temperature is not None:
            about["temperature"] = temperature
        if max_tokens is not None:
            about["max_tokens"] = max_tokens
        try:
            chat = init_chat_model(name, model_provider=provider, **about)
        except (ImportError, ValueError) as error:  # no such provider, package or setting
            raise UnknownModel(f"{model}: {str(error).splitlines()[0]}") from error
        while len(self._open) >= _MOST_KEPT:
            self._open.pop(next(iter(self._open)), None)
        return self._open.setdefault(key, tolerant(chat))


async def _ask_for_data(
    chat: BaseChatModel,
    messages: LanguageModelInput,
    model: Model,
    request: ChatRequest,
    schema: Schema,
) -> ChatAnswer:
    structured = chat.with_structured_output(schema, include_raw=True)
    outcome = cast("dict[str, object]", await structured.ainvoke(messages))
    raw, data = cast("AIMessage", outcome["raw"]), cast("JsonValue", outcome["parsed"])
    answer = to_answer(raw, model, request, data)  # first of all: it may be cut, or a refusal
    if outcome["parsing_error"] is not None or data is None:
        why = "the model did not answer with the data it was asked for"
        raise UnreadableAnswer(why, answer)
    return answer
