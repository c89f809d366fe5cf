"""Budgets as an operator has them: settings, real workers that share Redis, and tasks over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import Outside, outside
from tests.model_server import ModelServer, Text

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
pytest_plugins = ["tests.model_server.fixtures"]

PATIENCE = 150
"""Seconds: CrewAI alone takes many to import on a busy machine."""
TWO_CALLS = """
name: {name}
description: Asks its model twice.
budget: {budget}
runtimes:
  crewai:
    agents: {{one: {{role: One, goal: Go on.}}}}
    tasks:
      - {{name: first, description: Begin., expected_output: A word., agent: one}}
      - {{name: second, description: Go on., expected_output: A word., agent: one}}
"""


@pytest.fixture
async def user(
    fleet: Fleet, model_server: ModelServer, redis_url: str, tmp_path: Path
) -> AsyncIterator[Outside]:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    for name, budget in (("free", "{}"), ("daily", "{day: {model_calls: 5}}")):
        (catalog / f"{name}.yaml").write_text(TWO_CALLS.format(name=name, budget=budget))
    model_server.script(Text("Word.", input_tokens=1_000, output_tokens=100))
    fleet.environment |= {
        "CREWLINE_CATALOG__FOLDERS": str(catalog),
        "CREWLINE_WORKER__RUNTIMES": "crewai",
        "CREWLINE_WORKER__MODEL": "openai:gpt-4.1-mini",
        "CREWLINE_LIMITS__REDIS_URL": redis_url,
        "CREWLINE_LIMITS__REQUESTS_PER_MINUTE": "openai:6000",
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": model_server.openai_url,
    }
    made = fleet.run("topics", "apply")
    assert made.returncode == 0, made.stderr
    fleet.start("gateway")
    fleet.start("projector")
    for name in ("worker-a", "worker-b"):
        fleet.start("worker", name=name)
    await fleet.ready(PATIENCE)
    async with outside(fleet) as user:
        yield user


async def test_budgets_hold_over_a_fleet(user: Outside, model_server: ModelServer) -> None:
    whole = await user.ended(await user.submit("free", {}), PATIENCE)
    assert whole["state"] == "completed"
    assert whole["usage"]["model_calls"] == 2
    assert whole["usage"]["cost_usd"] == pytest.approx(2 * (1_000 * 0.4 + 100 * 1.6) / 1e6)
    assert len(model_server.seen) == 2

    budget = {"budget": {"model_calls": 1}}
    stopped = await user.ended(await user.submit("free", budget), PATIENCE)
    assert (stopped["state"], stopped["reason"]) == ("failed", "budget-exceeded")
    assert stopped["error"]["code"] == "budget-exceeded"
    assert stopped["error"]["retryable"] is False
    assert stopped["usage"]["model_calls"] == 1
    assert len(model_server.seen) == 3

    tasks = [await user.submit("daily", {"context_id": f"c-{number}"}) for number in range(6)]
    ended = [await user.ended(task, PATIENCE) for task in tasks]
    assert len(model_server.seen) - 3 == 5, "of the twelve that six crews wanted"
    assert sum(task["usage"]["model_calls"] for task in ended) == 5
    assert {task["reason"] for task in ended if task["state"] == "failed"} == {"budget-exceeded"}
