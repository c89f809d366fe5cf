"""What a worker refuses to start with, each in one line."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.domain.model.errors import InvalidAgent
from app.entrypoints.bootstrap.agents import catalog_of, runtimes_of
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


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        ("no_such_module:make", "there is no such module"),
        ("no_such_package.crews:make", "No module named 'no_such_package'"),
    ],
)
def test_a_crew_whose_module_is_not_there_is_refused_at_start(factory: str, why: str) -> None:
    runtime = CrewAIRuntime(ScriptedModels(), "openai:gpt", {})
    with pytest.raises(InvalidAgent) as refused:
        runtime.check(agent("crewai", factory=factory))
    assert refused.value.message.startswith(f"tester: runtimes.crewai.factory: {factory!r}: ")
    assert why in refused.value.message
