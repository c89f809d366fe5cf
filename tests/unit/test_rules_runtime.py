"""Agents that run by rules: procedures, templates, and how they refuse."""

import asyncio
import threading
from pathlib import Path

import pytest
from pydantic import JsonValue

from app.adapters.local.catalog import FileCatalog
from app.adapters.rules.brief import read_brief
from app.adapters.rules.procedure import Draft, Stopped
from app.adapters.rules.runtime import RulesRuntime
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.ids import AgentName
from app.ports.agent_runtime import AgentRuntime
from tests.contracts.agent_runtime import AgentRuntimeContract, agent, task
from tests.recording_context import RecordingContext

ENDLESS = "{% for a in range(9999) %}{% for b in range(9999) %}{{ '' }}{% endfor %}{% endfor %}"


class TestRulesRuntime(AgentRuntimeContract):
    @pytest.fixture
    def runtime(self) -> AgentRuntime:
        return RulesRuntime()

    @pytest.fixture
    def working(self) -> AgentSpec:
        return agent("rules", template="Hello {{ text }}")

    @pytest.fixture
    def failing(self) -> AgentSpec:
        return agent("rules", template="{{ parameters.missing.more }}")

    @pytest.fixture
    def endless(self) -> AgentSpec:
        return agent("rules", template=ENDLESS)

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        return agent("rules", procedure="no-such-procedure", template="{{ text }}")


async def test_an_agent_of_a_template_alone_answers_with_its_text() -> None:
    spec = agent("rules", template="{{ text }} for {{ parameters.whom }} ({{ input.text }})")
    result = await RulesRuntime().run(spec, task({"text": "bikes"}, whom="Ann"), RecordingContext())
    assert result.output == "bikes for Ann (bikes)"


async def test_a_template_lies_beside_the_agents_file(tmp_path: Path) -> None:
    (tmp_path / "hello.md.j2").write_text("# Hello {{ text }}\n")
    runtime = RulesRuntime([tmp_path])
    spec = agent("rules", template="hello.md.j2")
    runtime.check(spec)
    result = await runtime.run(spec, task("Ann"), RecordingContext())
    assert result.output == "# Hello Ann\n"


OUTSIDE = ["/proc/self/environ", "../secret.txt", "link.md", "folder/secret.txt", "//secret.txt"]
"""Ways to a file that is not the catalog's; the last two lead through links."""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog's folder with links in and out of it, as a mounted ConfigMap has them."""
    folder = tmp_path / "agents"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "kept.md").write_text("kept {{ text }}")
    (folder / "kept.md").symlink_to("..data/kept.md")
    (tmp_path / "secret.txt").write_text("the secret")
    (folder / "link.md").symlink_to("../secret.txt")
    (folder / "folder").symlink_to("..")
    return folder


@pytest.mark.parametrize("name", OUTSIDE)
async def test_a_template_is_a_file_below_the_catalogs_folders(catalog: Path, name: str) -> None:
    runtime = RulesRuntime([catalog])
    with pytest.raises(InvalidAgent, match="template"):
        runtime.check(agent("rules", template=name))
    including = agent("rules", template=f"{{% include '{name}' %}} {{{{ text }}}}")
    with pytest.raises(RunFailed, match="TemplateNotFound"):
        await runtime.run(including, task("Ann"), RecordingContext())


@pytest.mark.parametrize(
    "template",
    [
        "{% include parameters.x %}",
        "{% include ['kept.md', parameters.x] %}",
        "{% import parameters.x as other %}",
        "{% from text import other %}",
        "{% extends 'kept' ~ parameters.x %}",
        "{% if text %}{% set x = parameters.x %}{% include x ignore missing %}{% endif %}",
    ],
)
async def test_what_a_template_includes_is_never_chosen_by_a_task(
    catalog: Path, template: str
) -> None:
    runtime = RulesRuntime([catalog])
    with pytest.raises(InvalidAgent, match="names in quotes"):
        runtime.check(agent("rules", template=template))
    (catalog / "chosen.md").write_text(template)
    includes_it = agent("rules", template="{% include 'chosen.md' %}")
    for name in ("kept.md", *OUTSIDE):
        with pytest.raises(RunFailed, match="names in quotes"):
            await runtime.run(includes_it, task("Ann", x=name), RecordingContext())


async def test_a_template_includes_others_of_its_catalog_by_name(catalog: Path) -> None:
    (catalog / "own.md").write_text("{% include 'kept.md' %}, {% include ['no.md', 'kept.md'] %}")
    spec = agent("rules", template="own.md")
    runtime = RulesRuntime([catalog])
    runtime.check(spec)
    result = await runtime.run(spec, task("Ann"), RecordingContext())
    assert result.output == "kept Ann, kept Ann"


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing }}",
        "{{ 1 / 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for i in range(9999999) %}x{% endfor %}",
        "{% for i in range(9999) %}{{ 'x' * 1000 }}{% endfor %}",
    ],
)
async def test_a_template_that_breaks_is_a_template_error(template: str) -> None:
    with pytest.raises(RunFailed) as failure:
        await RulesRuntime().run(agent("rules", template=template), task(), RecordingContext())
    assert failure.value.failure_code == "template-error"
    assert not failure.value.failure_retryable


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "runtimes.rules.template"),
        ({"template": "{{ open"}, "runtimes.rules.template"),
        ({"template": "nowhere.md.j2"}, "nowhere.md.j2"),
        ({"template": "../agents/developer.yaml"}, "developer.yaml"),
        ({"template": "{{ text }}", "proceduer": "x"}, "'procedure'"),
        ({"template": "{{ text }}", "procedure": "nobody"}, "business-analyst"),
    ],
)
def test_settings_it_cannot_use_are_refused_in_one_line(
    settings: dict[str, JsonValue], words: str
) -> None:
    with pytest.raises(InvalidAgent) as refused:
        RulesRuntime().check(agent("rules", **settings))
    assert words in refused.value.message
    assert "\n" not in refused.value.message


def test_every_shipped_agent_with_rules_passes_the_check() -> None:
    runtime = RulesRuntime()
    for each in FileCatalog().load():
        if runtime.name in each.spec.runtimes:
            runtime.check(each.spec)


async def test_a_watcher_sees_steps_and_progress_that_only_grows() -> None:
    spec = next(a.spec for a in FileCatalog().load() if a.name == "business-analyst")
    context = RecordingContext()
    await RulesRuntime().run(spec, task("a marketplace for bikes"), context)
    assert context.named("step") == ["business-analyst", "write"]
    shares = [share for _, share in context.reports if share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_the_documentations_agent_works_as_it_is_printed(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "agents.md"
    printed = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "greeter.yaml").write_text(printed)
    spec = FileCatalog([tmp_path]).load().require(AgentName("greeter")).spec
    for parameters, said in (({}, "Hello Ann!"), ({"title": "Dr"}, "Hello Ann, Dr!")):
        result = await RulesRuntime().run(spec, task("Ann", **parameters), RecordingContext())
        assert result.output == said


async def test_a_canceled_run_stops_between_the_steps_of_its_procedure() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def endless(text: str, parameters: dict[str, JsonValue]) -> Draft:
        begun.set()
        try:
            while True:
                read_brief("a shop for 10 users")
        except Stopped:
            stopped.set()
            raise

    runtime = RulesRuntime(procedures={"endless": endless})
    spec = agent("rules", procedure="endless", template="{{ text }}")
    running = asyncio.create_task(runtime.run(spec, task("x"), RecordingContext()))
    assert await asyncio.to_thread(begun.wait, 20)
    running.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert stopped.is_set()
