"""A gateway that can no longer hear what it must is taken out of service."""

from pathlib import Path

import httpx

from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.agents import catalog_of
from app.entrypoints.bootstrap.stores import open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.settings import Settings, StoreSettings
from tests.unit.test_await_result import DeafBroker
from tests.waiting import until_true


async def test_a_gateway_that_hears_of_no_results_is_not_ready(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    settings = Settings(store=StoreSettings.model_validate({"url": url}))
    with observing(settings, "gateway") as observed:
        async with (
            open_store(settings, up_to_date=True) as store,
            processes.gateway(
                settings,
                catalog_of(settings),
                DeafBroker(),
                store,
                observed=observed,
                draining=Draining(),
            ) as app,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost"
            ) as client,
        ):

            async def refused() -> bool:
                answer = await client.get("/readyz")
                return answer.status_code == 503 and "results" in answer.text

            await until_true(refused)
