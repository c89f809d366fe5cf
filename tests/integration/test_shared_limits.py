"""The limits of a worker are those its settings name."""

from pathlib import Path

import pytest

from app.adapters.local.prices import InvalidPrices
from app.adapters.local.servers.server import free_port
from app.domain.model.budgets import Budget, BudgetExceeded, Spend
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.settings import Settings, load_settings
from app.ports.ledger import LedgerUnavailable
from tests.contracts.ledger import account, call
from tests.scripted_models import ANSWER, QUESTION, ScriptedModels


def settings(prefix: str = "crewline", **limits: object) -> Settings:
    return load_settings(kafka={"prefix": prefix}, limits=limits)


async def test_workers_with_one_redis_and_prefix_share_what_may_be_spent(
    redis_url: str, topic_prefix: str
) -> None:
    ours = settings(topic_prefix, redis_url=redis_url)
    where = account("agent", Budget(model_calls=2))
    async with open_limits(ours) as one, open_limits(ours) as other:
        assert one.shared
        await one.spending.ledger.reserve(call("a", where))
        await other.spending.ledger.reserve(call("b", where))
        for worker in (one, other):
            with pytest.raises(BudgetExceeded):
                await worker.spending.ledger.reserve(call("c", where))


async def test_without_redis_each_worker_counts_alone() -> None:
    where = account("agent", Budget(model_calls=1))
    async with open_limits(settings()) as one, open_limits(settings()) as other:
        assert not one.shared
        for worker in (one, other):
            await worker.spending.ledger.reserve(call("a", where))
            assert await worker.spending.ledger.spent(["agent"]) == [Spend(0, 1, 0)]


async def test_a_worker_starts_while_redis_is_away_and_spends_nothing_from_budgets() -> None:
    away = settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", requests_per_minute="60")
    async with open_limits(away) as limits:
        with pytest.raises(LedgerUnavailable):
            await limits.spending.ledger.reserve(call("a", account("agent")))
        models = ScriptedModels()
        assert await limits.on(models).ask("openai:mini", QUESTION) == ANSWER


async def test_prices_of_one_s_own_are_counted_with(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("taken: 2026-02-03\nprices: [{model: 'openai:our-*', input: 3, output: 4}]\n")
    async with open_limits(settings(prices=str(mine))) as limits:
        assert limits.spending.cost_usd("openai:our-own", 1_000_000, 0) == 3
        assert limits.spending.cost_usd("openai:gpt-4.1-mini", 1_000_000, 0) == 0.4
    with pytest.raises(InvalidPrices):
        async with open_limits(settings(prices="nowhere.yaml")):
            pass
