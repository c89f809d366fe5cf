"""What an agent's YAML may say under `runtimes: crewai:`, and how mistakes are told."""

import pytest
from pydantic import JsonValue

from app.adapters.crewai.section import section_of
from app.domain.model.errors import InvalidAgent
from tests.contracts.agent_runtime import agent

ONE: dict[str, JsonValue] = {"one": {"role": "One", "goal": "Do it."}}


def step(name: str = "do", **fields: JsonValue) -> dict[str, JsonValue]:
    return {"name": name, "description": "Do.", "expected_output": "It.", "agent": "one", **fields}


def test_an_agent_that_names_no_crew_is_one() -> None:
    section = section_of(agent("crewai"))
    (member,) = section.agents.values()
    (only,) = section.tasks
    assert (member.role, member.goal) == ("Tester", "Answer.")
    assert (only.description, only.expected_output) == ("Answer {{ input }}.", "An answer.")


def test_an_agent_of_few_words_is_filled_up() -> None:
    few = {"role": "", "goal": "", "instructions": "", "expected_output": ""}
    section = section_of(agent("crewai").model_copy(update=few))
    assert section.agents["tester"].role == "tester"
    assert section.agents["tester"].goal == "An agent for tests."
    assert section.tasks[0].description == "{{ text }}"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"proces": "sequential"}, "runtimes.crewai.proces: Extra inputs are not permitted"),
        ({"process": "chaotic"}, "runtimes.crewai.process: Input should be 'sequential' or"),
        ({"agents": ONE}, "agents and tasks come together"),
        ({"agents": ONE, "tasks": [step(agent="two")]}, "is for 'two', who is not an agent"),
        ({"agents": ONE, "tasks": [step(context=["later"])]}, "needs 'later', no task before it"),
        ({"agents": ONE, "tasks": [step(), step()]}, "two tasks are called 'do'"),
        ({"agents": ONE, "tasks": [step()], "factory": "a:b"}, "brings its own agents and tasks"),
        ({"factory": "no-colon"}, "runtimes.crewai.factory"),
        ({"agents": ONE, "tasks": [step(description="{{ x")]}, "task 'do': line 1"),
        ({"agents": ONE, "tasks": [step(description="{% include parameters.x %}")]}, "includes no"),
        ({"agents": ONE, "tasks": [step(description="{% include '/etc/x' %}")]}, "includes no"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(
    settings: dict[str, JsonValue], told: str
) -> None:
    with pytest.raises(InvalidAgent) as refused:
        section_of(agent("crewai", **settings))
    assert refused.value.message.startswith("tester: ")
    assert told in refused.value.message
    assert "\n" not in refused.value.message
