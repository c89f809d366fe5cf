"""Options become settings, one function runs, and its end is the process's end."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from app.domain.model.errors import Rejected, Unavailable
from app.entrypoints.cli import app, processes
from app.entrypoints.settings import SettingsError

Stage = Callable[..., list[SimpleNamespace]]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("CREWLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Puts a stand-in where a process would run; gives what it was called with."""

    def build(name: str, outcome: int | BaseException = 0) -> list[SimpleNamespace]:
        calls: list[SimpleNamespace] = []

        def run(settings: object, **options: Any) -> int:
            calls.append(SimpleNamespace(settings=settings, options=options))
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        module = ModuleType("stand_in")
        vars(module)["run"] = run
        monkeypatch.setitem(sys.modules, processes.SEAMS[name], module)
        return calls

    return build


def crewline(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stderr


def test_a_workers_options_become_settings(stage: Stage) -> None:
    calls = stage("worker")
    options = ("--agents", "a,b", "--runtimes", "rules", "--slots", "4", "--id", "w", "--model")
    assert crewline("worker", *options, "openai:x") == (0, "")
    worker = calls[0].settings.worker
    assert (worker.agents, worker.runtimes, worker.slots) == (["a", "b"], ["rules"], 4)
    assert (worker.id, worker.model) == ("w", "openai:x")


def test_options_that_are_not_given_leave_the_settings_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREWLINE_GATEWAY__PORT", "9000")
    for name in ("gateway", "dev"):
        calls = stage(name)
        assert crewline(name) == (0, "")
        assert calls[0].settings.gateway.port == 9000


@pytest.mark.parametrize("broker", ["embedded", "kafka", "memory", "localhost:9092", "a:1,b:2"])
def test_dev_takes_a_broker_by_kind_or_address(stage: Stage, broker: str, tmp_path: Path) -> None:
    calls = stage("dev")
    options = ("--broker", broker, "--kafka-port", "1234", "--data", str(tmp_path / "x"))
    assert crewline("dev", *options, "--catalog", "mine", "--catalog", "ours") == (0, "")
    expected = {"broker": broker, "kafka_port": 1234, "data": tmp_path / "x"}
    assert calls[0].options == expected
    assert calls[0].settings.catalog.folders == ["mine", "ours"]


def test_dev_refuses_a_broker_it_cannot_mean(stage: Stage) -> None:
    stage("dev")
    code, said = crewline("dev", "--broker", "rabbit")
    assert code == 2
    assert said == "crewline: --broker: 'rabbit' is not embedded, kafka, memory or host:port\n"


@pytest.mark.parametrize(
    ("arguments", "name", "options"),
    [
        (["projector"], "projector", {}),
        (["topics", "plan", "--json"], "topics", {"apply": False, "as_json": True}),
        (["topics", "apply"], "topics", {"apply": True, "as_json": False}),
        (["rebuild", "--check"], "rebuild", {"check": True, "yes": False, "as_json": False}),
        (["doctor", "--json"], "doctor", {"as_json": True}),
    ],
)
def test_each_process_is_given_its_options(
    stage: Stage, arguments: list[str], name: str, options: dict[str, object]
) -> None:
    calls = stage(name, 4)
    assert crewline(*arguments) == (4, "")
    assert calls[0].options == options


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (Unavailable("the broker is away"), 3, "crewline: the broker is away\n"),
        (Rejected("no"), 4, "crewline: no\n"),
        (SettingsError(["one", "two"]), 2, "crewline: one\ncrewline: two\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_a_failure_is_told_in_a_line(
    stage: Stage, failure: BaseException, code: int, said: str
) -> None:
    stage("worker", failure)
    assert crewline("worker") == (code, said)


def test_every_mistake_in_the_settings_has_its_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = stage("gateway")
    monkeypatch.setenv("CREWLINE_GATEWAY__PROT", "1")
    monkeypatch.setenv("CREWLINE_KAFAK__PREFIX", "x")
    code, said = crewline("gateway")
    assert code == 2
    assert said.splitlines() == [
        "crewline: CREWLINE_GATEWAY__PROT is not a setting; did you mean CREWLINE_GATEWAY__PORT?",
        "crewline: CREWLINE_KAFAK__PREFIX is not a setting; did you mean CREWLINE_KAFKA__PREFIX?",
    ]
    assert calls == []


@pytest.mark.parametrize("name", sorted(processes.SEAMS))
def test_every_process_has_a_function_to_run(name: str) -> None:
    from importlib import import_module  # noqa: PLC0415

    assert callable(import_module(processes.SEAMS[name]).run)
