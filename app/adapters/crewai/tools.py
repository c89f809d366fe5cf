"""A tool of ours, as CrewAI wants its tools: the policy is inside, where no prompt reaches."""

import asyncio
from typing import Any

from crewai.tools import BaseTool
from crewai.utilities.pydantic_schema_utils import create_model_from_schema
from pydantic import JsonValue, PrivateAttr

from app.adapters.crewai.journal import Journal
from app.adapters.crewai.scope import RunScope, Stopped
from app.ports.tools import Tool, ToolFailed, ToolRefused


class PortTool(BaseTool):
    """Runs a tool on the event loop, for so long and no longer, and only while the run goes on."""

    _tool: Tool = PrivateAttr()
    _scope: RunScope = PrivateAttr()
    _journal: Journal = PrivateAttr()
    _timeout: float = PrivateAttr()

    @classmethod
    def of(cls, tool: Tool, scope: RunScope, journal: Journal, timeout: float) -> "PortTool":
        made = cls(
            name=tool.name,
            description=tool.description,
            args_schema=create_model_from_schema(
                dict(tool.arguments), model_name=f"{tool.name}_arguments"
            ),
        )
        made._tool, made._scope, made._journal, made._timeout = tool, scope, journal, timeout
        return made

    def _run(self, **arguments: Any) -> str:
        """Return the outcome; what the model did wrong is raised, and CrewAI tells the model."""
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return self._scope.wait_for(lambda: self._call(given))
        except (Stopped, ToolRefused):
            raise
        except TimeoutError:
            why = f"{self._tool.name} did not answer in {self._timeout:g} s"
            self._scope.fail(ToolFailed(why, retryable=True))
        except Exception as error:  # noqa: BLE001 - a tool may raise anything
            self._scope.fail(error if isinstance(error, ToolFailed) else _broken(self._tool, error))

    async def _call(self, arguments: dict[str, JsonValue]) -> str:
        await self._journal.settled()  # whoever counts the cost may refuse this call
        async with asyncio.timeout(self._timeout):
            return await self._tool.call(arguments, self._journal.context)


def _broken(tool: Tool, error: Exception) -> ToolFailed:
    return ToolFailed(f"{tool.name}: {type(error).__name__}: {error}")
