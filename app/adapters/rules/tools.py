"""What the rules know, offered to crews as tools."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from app.adapters.rules.text_facts import text_facts
from app.ports.agent_runtime import RunContext
from app.ports.tools import Tool, ToolRefused


class TextFacts(Tool):
    """Finds what a text says in numbers, so that a model need not count or guess."""

    @property
    def name(self) -> str:
        return "text_facts"

    @property
    def description(self) -> str:
        return "Finds the figures, amounts of money, dates, time frames and constraints in a text."

    @property
    def arguments(self) -> dict[str, JsonValue]:
        text: dict[str, JsonValue] = {"type": "string", "description": "The text to look at."}
        return {"type": "object", "properties": {"text": text}, "required": ["text"]}

    async def call(
        self,
        arguments: Mapping[str, JsonValue],
        context: RunContext,  # noqa: ARG002  it has no effect to make repeatable
    ) -> str:
        text = arguments.get("text")
        if not isinstance(text, str):
            raise ToolRefused("text_facts needs `text`, a string")
        return json.dumps(text_facts(text), ensure_ascii=False)
