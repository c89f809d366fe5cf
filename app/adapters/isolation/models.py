"""Chat models from within a child: the worker asks them, with its keys, limits and budgets."""

from typing import Any

from pydantic import TypeAdapter

from app.adapters.isolation.channel import Channel
from app.ports.chat_model import ChatAnswer, ChatModels, ChatRequest, Model, OnText

REQUESTS: TypeAdapter[ChatRequest] = TypeAdapter(ChatRequest)
ANSWERS: TypeAdapter[ChatAnswer] = TypeAdapter(ChatAnswer)


class ModelsOfTheWorker(ChatModels):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        asked: dict[str, Any] = {
            "model": model,
            "request": REQUESTS.dump_python(request, mode="json"),
            "streamed": on_text is not None,
        }
        return ANSWERS.validate_python(await self._channel.ask("ask", on_text, **asked))

    def input_limit(self, model: Model) -> int | None:
        limit = self._channel.ask_now("input_limit", model=model)
        return None if limit is None else int(limit)

    def missing_keys(self, model: Model) -> tuple[str, ...]:  # noqa: ARG002
        return ()  # the worker has looked at its start
