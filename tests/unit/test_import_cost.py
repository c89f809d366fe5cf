"""Processes load what they use: a crew's libraries cost seconds and hundreds of megabytes."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

CREWS = frozenset({"crewai", "langchain", "langchain_core", "litellm", "openai", "anthropic"})
SERVERS = frozenset({"sqlalchemy", "alembic", "faststream", "aiokafka", "fastapi", "uvicorn"})
TALKING = frozenset({"httpx", "pydantic", "rich", "structlog"})

LOADED = """
import json, sys
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

SPENT = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def loaded_by(*modules: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *modules],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "app.domain.use_cases.submit_task",
        "app.ports.agent_runtime",
        "app.entrypoints.cli",
        "app.entrypoints.settings",
        "app.entrypoints.logs",
        "app.entrypoints.gateway.serving",
        "app.entrypoints.projector",
    ],
)
def test_no_crew_is_loaded_where_none_runs(module: str) -> None:
    assert find_spec(module), f"{module} has moved: name its new place here"
    assert loaded_by(module) & CREWS == set()


def test_a_worker_joins_before_it_loads_what_speaks_sql() -> None:
    assert "sqlalchemy" not in loaded_by("app.entrypoints.worker")


def test_the_command_line_loads_nothing_before_a_command_needs_it() -> None:
    assert loaded_by("app.entrypoints.cli") & (CREWS | SERVERS | TALKING) == set()


def test_asking_for_a_task_loads_no_more_than_it_takes() -> None:
    loaded = loaded_by("app.entrypoints.cli", "app.entrypoints.cli.tasks")
    assert loaded & (CREWS | SERVERS | {"click", "pydantic", "pygments", "rich"}) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["status", "x", "--url", "http://127.0.0.1:1"]])
def test_the_command_line_answers_within_its_budget(arguments: list[str]) -> None:
    """0.7 s of processor time, in one try of ten: other work on the machine costs some, too."""
    call = "from app.entrypoints.cli import main; main()"
    command = [sys.executable, "-c", SPENT, call, *arguments]
    tries = (float(subprocess.check_output(command, timeout=60)) for _ in range(10))
    assert any(spent < 0.7 for spent in tries)
