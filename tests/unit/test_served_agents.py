"""What a worker refuses to start with, each in one line."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.local.catalog import compile_schema
from app.domain.model.errors import InvalidAgent
from app.entrypoints.bootstrap.agents import catalog_of, runtimes_of, sound_agents
from app.entrypoints.bootstrap.limits import Limits, open_limits
from app.entrypoints.settings import Settings
from tests.contracts.agent_runtime import agent
from tests.scripted_models import ScriptedModels


@pytest.fixture
async def limits() -> AsyncIterator[Limits]:
    async with open_limits(Settings()) as limits:
        yield limits


@pytest.mark.parametrize(
    ("runtimes", "told"),
    [
        ("{pyhton: {}}", "mine: runtimes.pyhton: no such runtime; did you mean 'python'?"),
        (
            "{langgraph: {}}",
            "mine: runtimes.langgraph: no such runtime; there are rules, python, crewai",
        ),
        (
            "{python: {callable: 'no_such_module:run'}}",
            "mine: runtimes.python.callable: cannot import 'no_such_module:run': "
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            "{python: {callable: 'exits_when_imported:run'}}",
            "mine: runtimes.python.callable: cannot import 'exits_when_imported:run': "
            "SystemExit: 4",
        ),
    ],
)
def test_an_agent_that_cannot_run_here_stops_the_start_with_one_line(
    runtimes: str, told: str, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exits_when_imported.py").write_text("raise SystemExit(4)")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.yaml").write_text(f"name: mine\ndescription: d\nruntimes: {runtimes}\n")
    settings = Settings.model_validate(
        {"catalog": {"folders": [str(tmp_path)]}, "worker": {"runtimes": ["rules", "python"]}}
    )
    with pytest.raises(InvalidAgent) as refused:
        runtimes_of(settings, catalog_of(settings), limits)
    assert refused.value.message == told


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a folder of one good agent, and of others that are broken in five ways."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "exits_when_imported.py").write_text("raise SystemExit(4)")
    for name, rest in {
        "good": "runtimes: {python: {callable: 'os.path:join'}}",
        "good_python": "runtimes: {python: {callable: 'os.path:join'}}",
        "exits": "runtimes: {python: {callable: 'exits_when_imported:run'}}",
        "missing": "runtimes: {python: {callable: 'no_such_module:run'}}",
        "misspelt": "runtimes: {rules: {template: x}}\ntimeout: 3",
        "nowhere": "runtimes: {langgraph: {}}",
    }.items():
        text = f"name: {name}\ndescription: d\n{rest}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    return Settings.model_validate(
        {"catalog": {"folders": [str(tmp_path)]}, "worker": {"runtimes": ["rules", "python"]}}
    )


BROKEN_FILES = ("misspelt.yaml: timeout: no such field", "good_python: name: 'good_python' and")
BROKEN_RUNS = ("exits: runtimes", "missing: runtimes", "nowhere: runtimes.langgraph")


def test_all_that_is_wrong_with_the_files_is_said_at_once(broken: Settings) -> None:
    with pytest.raises(InvalidAgent) as refused:
        catalog_of(broken)
    assert len(refused.value.problems) == len(BROKEN_FILES)
    for part in BROKEN_FILES:
        assert part in refused.value.message


def test_all_agents_that_cannot_run_here_are_said_at_once(
    broken: Settings, limits: Limits, tmp_path: Path
) -> None:
    for name in ("misspelt", "good_python"):
        (tmp_path / f"{name}.yaml").unlink()
    with pytest.raises(InvalidAgent) as refused:
        runtimes_of(broken, catalog_of(broken), limits)
    assert len(refused.value.problems) == len(BROKEN_RUNS)
    for part in BROKEN_RUNS:
        assert part in refused.value.message


def test_the_sound_agents_can_be_had_without_the_broken_ones(
    broken: Settings, limits: Limits
) -> None:
    catalog, problems = sound_agents(broken, limits)
    mine = {"good", "good_python", "exits", "missing", "misspelt", "nowhere"}
    assert mine & {agent.name for agent in catalog} == {"good"}
    assert len(problems) == len(BROKEN_FILES) + len(BROKEN_RUNS)
    assert runtimes_of(broken, catalog, limits)


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        ("no_such_module:make", "there is no such module"),
        ("no_such_package.crews:make", "No module named 'no_such_package'"),
    ],
)
def test_a_crew_whose_module_is_not_there_is_refused_at_start(factory: str, why: str) -> None:
    runtime = CrewAIRuntime(ScriptedModels(), "openai:gpt", {}, compile_schema)
    with pytest.raises(InvalidAgent) as refused:
        runtime.check(agent("crewai", factory=factory))
    assert refused.value.message.startswith(f"tester: runtimes.crewai.factory: {factory!r}: ")
    assert why in refused.value.message
