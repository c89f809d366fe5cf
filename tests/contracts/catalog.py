"""What every CatalogSource must do; each adapter's test class subclasses this."""

import pytest

from app.domain.model.agents import AgentSpec, Schema
from app.domain.model.commands import TaskRequest
from app.domain.model.errors import InvalidInput, UnknownAgent
from app.domain.model.ids import AgentName, RuntimeName
from app.ports.catalog import CatalogSource

TITLE_SCHEMA: Schema = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 40},
        "a/b": {"type": "array", "items": {"type": "integer"}},
    },
    "additionalProperties": False,
}


def titled_agent(name: str) -> AgentSpec:
    return AgentSpec(
        name=AgentName(name),
        description=f"The agent {name}.",
        input_schema=TITLE_SCHEMA,
        runtimes={RuntimeName("rules"): {"template": "{{ text }}"}},
    )


class CatalogSourceContract:
    @pytest.fixture
    def source(self) -> CatalogSource:
        """A source that has `titled_agent("writer")` and `titled_agent("editor")`."""
        raise NotImplementedError("the subclass provides the source under test")

    def test_every_agent_can_be_had_by_name(self, source: CatalogSource) -> None:
        catalog = source.load()
        for name in ("editor", "writer"):
            assert catalog.require(AgentName(name)).spec == titled_agent(name)

    def test_agents_come_in_the_order_of_their_names(self, source: CatalogSource) -> None:
        names = [agent.name for agent in source.load()]
        assert names == sorted(names)

    def test_an_unknown_agent_is_refused_by_name(self, source: CatalogSource) -> None:
        with pytest.raises(UnknownAgent, match="writer"):
            source.load().require(AgentName("nobody"))

    async def test_an_input_that_fits_is_accepted(self, source: CatalogSource) -> None:
        writer = source.load().require(AgentName("writer"))
        await writer.accept(TaskRequest(agent=writer.name, input={"title": "Bikes"}))

    async def test_a_misfit_is_refused_with_its_json_pointer(self, source: CatalogSource) -> None:
        writer = source.load().require(AgentName("writer"))
        with pytest.raises(InvalidInput) as refused:
            await writer.accept(
                TaskRequest(agent=writer.name, input={"title": "Bikes", "a/b": [1, "two"]})
            )
        assert [violation.pointer for violation in refused.value.violations] == ["/a~1b/1"]

    async def test_a_huge_value_is_never_echoed(self, source: CatalogSource) -> None:
        writer = source.load().require(AgentName("writer"))
        with pytest.raises(InvalidInput) as refused:
            await writer.accept(TaskRequest(agent=writer.name, input={"title": "x" * 100_000}))
        assert len(refused.value.message) < 300

    def test_loading_twice_gives_the_same_agents(self, source: CatalogSource) -> None:
        assert [a.spec for a in source.load()] == [a.spec for a in source.load()]
