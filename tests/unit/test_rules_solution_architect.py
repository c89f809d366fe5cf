"""The solution architect: every component has an asker, every size its sum."""

import re
from typing import Any

import pytest

from app.adapters.local.catalog import FileCatalog, compile_schema
from app.adapters.rules.business_analyst import business_analyst
from app.adapters.rules.components import known_components
from app.adapters.rules.runtime import RulesRuntime
from app.adapters.rules.solution_architect import solution_architect
from app.domain.model.ids import AgentName
from tests.contracts.agent_runtime import task
from tests.recording_context import RecordingContext
from tests.unit.test_rules_business_analyst import BIKES, LOGISTICS, TEXTS

NODE = r"[a-z]+\d*"
LINE = re.compile(
    rf'flowchart LR|\s+subgraph {NODE}\["[^"]+"\]|\s+end|\s+{NODE} --> {NODE}'
    rf'|\s+{NODE} -->\|"[^"]+"\| {NODE}'
    rf'|\s+{NODE}(?:\["[^"]+"\]|\(\["[^"]+"\]\)|\[\("[^"]+"\)\]|\[\["[^"]+"\]\]|\{{\{{"[^"]+"\}}\}}|\(\("[^"]+"\)\))'
)


def design(text: str) -> Any:
    return solution_architect(text, {}).output


def ids(text: str) -> set[str]:
    return {each["id"] for each in design(text)["components"]}


def test_components_are_there_because_somebody_asked() -> None:
    assert {"payments", "search", "files", "identity", "audit"} <= ids(BIKES)
    assert "broker" not in ids(BIKES)
    assert all(each["because"] and each["alternative"] for each in design(BIKES)["components"])


def test_events_in_bursts_bring_an_event_log_and_availability_a_second_zone() -> None:
    assert {"broker", "intake", "processor", "standby"} <= ids(LOGISTICS)


def test_sizes_come_from_the_texts_figures_with_the_sum_and_the_assumption() -> None:
    (size,) = design(BIKES)["sizing"]
    assert size["arithmetic"].startswith(
        "50,000 x 20% a day x 30 requests / 86,400 s x 10 = 34.7/s"
    )
    assert size["assumption"]


def test_more_users_bring_a_cache() -> None:
    assert "cache" in ids(BIKES.replace("50,000", "500,000"))


def test_without_figures_nothing_is_sized_and_the_figure_is_asked_for() -> None:
    found = design("an app for dog owners")
    assert found["sizing"] == []
    assert found["open_questions"][0]["topic"] == "sizing"


@pytest.mark.parametrize("text", TEXTS)
async def test_the_output_fits_its_schema_and_the_diagram_is_mermaid(text: str) -> None:
    spec = FileCatalog().load().require(AgentName("solution-architect")).spec
    result = await RulesRuntime().run(spec, task(text), RecordingContext())
    assert await compile_schema(spec.output_schema)(result.output) == ()
    report = result.artifacts[0]
    assert report.name == "solution-architect.md"
    assert report.media_type == "text/markdown"
    if text == TEXTS[-1]:
        assert "does not describe software needs" in report.content
        assert len(result.artifacts) == 1
        return
    drawing = result.artifacts[1]
    assert drawing.media_type == "text/vnd.mermaid"
    for line in drawing.content.splitlines():
        assert LINE.fullmatch(line), line
    assert drawing.content in report.content


@pytest.mark.parametrize("text", TEXTS)
def test_every_line_of_the_drawing_joins_parts_that_are_there(text: str) -> None:
    present = ids(text)
    for line in design(text)["connections"]:
        assert {line["source"], line["target"]} <= present


def test_the_known_components_only_speak_of_each_other() -> None:
    known = {each.id for each in known_components()}
    for each in known_components():
        assert set(each.links) <= known
        assert each.needs_component is None or each.needs_component in known


FESTIVAL = (
    "Our village festival is in June. A brass band plays, there are 12 stalls and a parade. "
    "We need a rain plan and 30 volunteers. Children should get balloons."
)


def test_a_text_that_is_not_about_software_gets_a_question_and_no_components() -> None:
    found = design(FESTIVAL)
    assert found["components"] == found["connections"] == found["sizing"] == []
    assert "does not describe software needs" in found["summary"]
    assert found["open_questions"][0]["topic"] == "software"


def test_the_analyst_still_lists_what_it_names() -> None:
    found: Any = business_analyst(FESTIVAL, {}).output
    assert {"12 stalls", "30 volunteers"} <= {each["text"] for each in found["quantities"]}
    assert "Volunteer" in [each["name"] for each in found["actors"]]
    assert len(found["needs"]) == 2
