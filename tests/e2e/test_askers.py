"""What whoever asks for a task may choose, and what it may spend: by HTTP, Kafka and the CLI."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing, start

pytestmark = pytest.mark.kafka

OWN_MODEL, ALLOWED = "openai:gpt-4.1-mini", "anthropic:claude-small-5"
DEAR = "openai:gpt-dear"
AGENT = """
name: {name}
description: Calls a model by itself.
model: {model}
models: ["anthropic:claude-small-*"]
timeout_seconds: {seconds}
runtimes:
  python: {{callable: "tests.e2e.agents:{callable}", meters: {meters}}}
"""
AGENTS = {
    "spender": ("spend", "true"),
    "quiet-spender": ("spend", "false"),
    "isolated-spender": ("spend", "true"),
    "slow": ("sleep", "true"),
}


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("askers")
    catalog = folder / "catalog"
    catalog.mkdir()
    for name, (callable_, meters) in AGENTS.items():
        text = AGENT.format(
            name=name,
            model=OWN_MODEL,
            callable=callable_,
            meters=meters,
            seconds=1 if name == "slow" else 60,
        )
        isolation = "process" if name.startswith("isolated") else "thread"
        (catalog / f"{name}.yaml").write_text(f"{text}isolation: {isolation}\n")
    fleet = new_fleet(folder, kafka)
    fleet.environment |= {
        "CREWLINE_CATALOG__FOLDERS": str(catalog),
        "CREWLINE_LIMITS__MODELS": "groq:llama-*",
        "CREWLINE_LIMITS__TASK_BUDGET": "model_calls=7",
        "CREWLINE_GATEWAY__MAX_BACKLOG": "50",
    }
    with standing(fleet):
        start(fleet, *EVERYTHING)
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def spent(user: Outside, agent: str, body: Json) -> Json:
    return await user.ended(await user.submit(agent, body))


@pytest.mark.parametrize("agent", ["spender", "isolated-spender"])
async def test_calls_that_an_agent_tells_of_count_towards_the_budget(
    user: Outside, agent: str
) -> None:
    budget = {"budget": {"tokens": 3_500}, "parameters": {"calls": 9}}
    task = await spent(user, agent, budget)
    assert (task["state"], task["reason"]) == ("failed", "budget-exceeded")
    assert task["error"]["code"] == "budget-exceeded"
    assert task["error"]["retryable"] is False
    assert "may spend 3,500 tokens and has spent 3,300" in task["error"]["message"]
    assert task["usage"]["model_calls"] == 3
    assert task["usage"]["cost_usd"] == pytest.approx(3 * (1_000 * 0.4 + 100 * 1.6) / 1e6)


async def test_a_call_whose_tokens_are_not_told_is_charged_what_was_expected(
    user: Outside,
) -> None:
    told = {"parameters": {"calls": 9, "count": False}, "budget": {"tokens": 2_500}}
    task = await spent(user, "spender", told)
    assert task["error"]["code"] == "budget-exceeded"
    assert "has spent 2,000" in task["error"]["message"]
    assert task["usage"]["cost_usd"] is None


async def test_a_budget_in_money_holds_for_an_agent_s_own_calls(user: Outside) -> None:
    budget = {"budget": {"cost_usd": 0.003}, "parameters": {"calls": 9}}
    task = await spent(user, "spender", budget)
    assert task["error"]["code"] == "budget-exceeded"
    assert "may spend $0.003" in task["error"]["message"]


async def test_an_agent_without_a_budget_has_the_usual_one(user: Outside) -> None:
    task = await spent(user, "spender", {"parameters": {"calls": 9}})
    assert task["error"]["code"] == "budget-exceeded"
    assert "may make 7 model calls" in task["error"]["message"]
    assert (await spent(user, "spender", {"parameters": {"calls": 7}}))["state"] == "completed"


async def test_a_budget_that_nobody_keeps_is_warned_of(user: Outside) -> None:
    body = {"budget": {"tokens": 10}, "parameters": {"tell": False}}
    task = await user.submit("quiet-spender", body)
    assert (await user.ended(task))["state"] == "completed"
    events = (await user.http.get(f"/v1/tasks/{task}/events")).text
    assert "its agent told of no model call" in events
    log = user.fleet.log_of("worker")
    assert "its agent told of no model call" in log


@pytest.mark.parametrize("model", [OWN_MODEL, ALLOWED, "groq:llama-4"])
async def test_a_task_may_ask_for_the_models_that_are_allowed(user: Outside, model: str) -> None:
    assert (await spent(user, "spender", {"model": model}))["state"] == "completed"


@pytest.mark.parametrize("agent", ["spender", "business-analyst"])
async def test_any_other_model_is_refused_over_http(user: Outside, agent: str) -> None:
    body = {"agent": agent, "input": "x", "model": DEAR}
    refused = await user.http.post("/v1/tasks", json=body)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (
        422,
        "not-allowed",
        False,
    )
    [error] = problem["errors"]
    assert error["pointer"] == "/model"
    assert DEAR in error["detail"]
    assert "groq:llama-*" in error["detail"]


async def test_any_other_model_is_refused_over_kafka(user: Outside) -> None:
    body = json.dumps({"input": "x", "model": DEAR}).encode()
    _, task_id = await user.produce_unnamed("commands.spender", body)
    task = await user.ended(task_id)
    assert (task["state"], task["reason"]) == ("rejected", "dead-lettered")
    assert task["error"]["code"] == "not-allowed"
    assert DEAR in task["error"]["message"]
    letters = (await user.http.get("/v1/dead-letters", params={"agent": "spender"})).json()
    assert any(DEAR in letter["detail"] for letter in letters["items"]), letters


def test_any_other_model_is_refused_on_the_command_line_in_a_line(fleet: Fleet) -> None:
    said = fleet.run("submit", "spender", "x", "--model", DEAR)
    assert said.returncode == 4
    [line] = said.stderr.splitlines()
    assert "not-allowed" in line
    assert DEAR in line


async def test_no_run_takes_longer_than_its_agent_allows(user: Outside) -> None:
    body = {"timeout_seconds": 3_600, "parameters": {"seconds": 30}}
    task = await spent(user, "slow", body)
    assert (task["state"], task["reason"]) == ("failed", "deadline-exceeded")
    assert "longer than its 1 s" in task["error"]["message"]
    shorter = {"timeout_seconds": 0.5, "parameters": {"seconds": 30}}
    task = await spent(user, "slow", shorter)
    assert "longer than its 0.5 s" in task["error"]["message"]


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("LIMITS__TASK_BUDGET", "tokns=5", "'tokns' is no limit"),
        ("LIMITS__TASK_BUDGET", "tokens=many", "tokens must be a number"),
        ("LIMITS__TASK_BUDGET", "tokens=-5", "tokens: input should be greater than 0"),
        ("LIMITS__UNMETERED", "ignore", "CREWLINE_LIMITS__UNMETERED"),
    ],
)
def test_a_rule_that_is_none_stops_the_start(
    fleet: Fleet, setting: str, value: str, why: str
) -> None:
    name = f"CREWLINE_{setting}"
    before = fleet.environment.get(name)
    fleet.environment[name] = value
    try:
        said = fleet.run("worker")
    finally:
        fleet.environment.pop(name)
        if before is not None:
            fleet.environment[name] = before
    assert said.returncode == 2
    [line] = said.stderr.splitlines()
    assert why in line


async def test_budgets_that_nobody_keeps_are_refused_where_they_shall_be(
    kafka: str, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    text = AGENT.format(name="quiet", model=OWN_MODEL, callable="spend", meters="false", seconds=60)
    (catalog / "quiet.yaml").write_text(text)
    fleet = new_fleet(tmp_path, kafka)
    fleet.environment |= {
        "CREWLINE_CATALOG__FOLDERS": str(catalog),
        "CREWLINE_LIMITS__UNMETERED": "refuse",
    }
    budget: Json = {"input": "x", "budget": {"tokens": 10}}
    with standing(fleet):
        for process in EVERYTHING:
            fleet.start(process)
        await fleet.ready()
        async with outside(fleet) as user:
            refused = await user.http.post("/v1/tasks", json={"agent": "quiet", **budget})
            assert (refused.status_code, refused.json()["code"]) == (422, "not-allowed")
            assert refused.json()["errors"][0]["pointer"] == "/budget"
            _, task_id = await user.produce_unnamed("commands.quiet", json.dumps(budget).encode())
            task = await user.ended(task_id)
            assert (task["state"], task["error"]["code"]) == ("rejected", "not-allowed")
            assert (await spent(user, "quiet", {}))["state"] == "completed"
