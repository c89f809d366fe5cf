"""Chat models that answer what a test tells them to, for tests of what stands before them."""

import asyncio

from app.ports.chat_model import ChatAnswer, ChatMessage, ChatModels, ChatRequest, Model, OnText

ANSWER = ChatAnswer("Well.", input_tokens=11, output_tokens=7)
QUESTION = ChatRequest((ChatMessage("user", "How are you?"),))


class ScriptedModels(ChatModels):
    """Answers with these in order, an exception by raising it; the last one repeats."""

    def __init__(self, *script: ChatAnswer | BaseException) -> None:
        self.script = list(script) or [ANSWER]
        self.asked: list[tuple[Model, ChatRequest]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.gate: asyncio.Event | None = None
        """Where there is one, no answer comes before it is set."""
        self.says: tuple[str, ...] = ()
        """What is streamed before the answer."""

    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        self.asked.append((model, request))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if on_text is not None:
                for text in self.says:
                    on_text(text)
            if self.gate is not None:
                await self.gate.wait()
            answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        finally:
            self.in_flight -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def input_limit(self, model: Model) -> int | None:
        return 1_000

    def missing_keys(self, model: Model) -> tuple[str, ...]:
        return ("SOME_KEY",)
