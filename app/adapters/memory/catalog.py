"""A catalog of agents made in code."""

from collections.abc import Callable, Iterable

from pydantic import JsonValue

from app.domain.model.agents import Agent, AgentCatalog, AgentSpec, Check, Schema
from app.domain.model.errors import Violation
from app.ports.catalog import CatalogSource


def accept_everything(_: Schema) -> Check:
    """No check at all: enough for tests that are about something else."""

    async def check(_: JsonValue) -> tuple[Violation, ...]:
        return ()

    return check


class MemoryCatalog(CatalogSource):
    """`compile_schema` makes an agent's input check; without one every input is accepted."""

    def __init__(
        self,
        specs: Iterable[AgentSpec],
        compile_schema: Callable[[Schema], Check] = accept_everything,
    ) -> None:
        self._specs = tuple(specs)
        self._compile_schema = compile_schema

    def load(self) -> AgentCatalog:
        return AgentCatalog(
            Agent(spec=spec, check_input=self._compile_schema(spec.input_schema))
            for spec in self._specs
        )
