"""A model's answer as it comes, put together of its pieces."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable

from app.adapters.langchain.messages import reason_of, to_answer
from app.adapters.langchain.tolerant import speaks_openai
from app.ports.chat_model import ChatAnswer, ChatRequest, EmptyAnswer, Model, OnText
from app.ports.sdk_errors import translated

_COUNTS = ("input_tokens", "output_tokens")


class Stream:
    """Asks for one answer in pieces and passes their text on.

    LangChain adds the pieces up. Two things it cannot: the reason of the end, which some servers
    say twice, and the counts, which some say with every piece, and which may be no numbers.
    """

    def __init__(
        self,
        asked: Runnable[LanguageModelInput, AIMessage],
        messages: LanguageModelInput,
        on_text: OnText,
    ) -> None:
        self._asked = asked
        self._messages = messages
        self._on_text = on_text
        self._whole: AIMessageChunk | None = None
        self._counts: list[Mapping[str, Any]] = []
        self._reason: str | None = None

    async def answer(self, model: Model, request: ChatRequest) -> ChatAnswer:
        """The whole one; raise `ModelFailed`, which knows whether an answer had begun."""
        try:
            async for piece in self._asked.astream(self._messages):
                if isinstance(piece, AIMessageChunk):
                    self._take(piece)
        except Exception as error:
            failure = translated(error, model)
            failure.answered = failure.answered or self._whole is not None
            raise failure from error
        if self._whole is None:
            raise EmptyAnswer("the model answered nothing")
        counts = _sum(self._counts, said_again=speaks_openai(self._asked))
        return to_answer(
            self._whole, model, request, counts=counts, reason=self._reason, streamed=True
        )

    def _take(self, piece: AIMessageChunk) -> None:
        if piece.usage_metadata is not None:
            self._counts.append(piece.usage_metadata)
            piece.usage_metadata = None
        self._reason = reason_of(piece.response_metadata) or self._reason
        self._whole = piece if self._whole is None else self._whole + piece
        if text := str(piece.text):
            self._on_text(text)


def _sum(counts: list[Mapping[str, Any]], *, said_again: bool) -> Mapping[str, Any]:
    """The counts of the whole answer; one that is no number is left for others to refuse."""
    if said_again or len(counts) < 2:
        return counts[-1] if counts else {}
    cached = [(each.get("input_token_details") or {}).get("cache_read") or 0 for each in counts]
    sums = {name: _added([each.get(name, 0) for each in counts]) for name in _COUNTS}
    return {**sums, "input_token_details": {"cache_read": _added(cached)}}


def _added(numbers: list[Any]) -> Any:
    odd = [each for each in numbers if not isinstance(each, int | float) or each < 0]
    return odd[0] if odd else sum(numbers)
