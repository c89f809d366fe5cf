"""A process says in a few lines, with a cure, that topics are missing or the broker is away."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.local.servers.kraft import KraftBroker
from tests.e2e.fleet import Fleet
from tests.e2e.outside import new_fleet
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

PROCESSES = ("worker", "projector", "gateway")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KraftBroker]:
    """One of our own: nobody else's tests want it to die."""
    with KraftBroker(folder=tmp_path / "broker") as broker:
        yield broker


def lines(fleet: Fleet, process: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in fleet.log_of(process).splitlines() if line.startswith("{")]


def said(fleet: Fleet, process: str, words: str) -> list[dict[str, Any]]:
    return [line for line in lines(fleet, process) if words in line["event"]]


async def test_an_outage_is_said_a_few_times_with_a_cure_and_its_end_with_a_count(
    broker: KraftBroker, tmp_path: Path
) -> None:
    fleet = new_fleet(tmp_path, broker.address)
    try:
        for process in PROCESSES:
            fleet.start(process)
        await until(lambda: bool(said(fleet, "worker", "not found in cluster")), within=60)
        missing = said(fleet, "worker", "not found in cluster metadata")
        assert all("topics apply" in line["advice"] for line in missing)
        made = fleet.run("topics", "apply")
        assert made.returncode == 0, made.stderr
        await fleet.ready()
        await until(lambda: bool(said(fleet, "worker", "no longer said: Topic")), within=90)
        (over, *_) = said(fleet, "worker", "no longer said: Topic")
        assert (over["level"], over["repeated"] > 0) == ("info", True)

        broker.kill()
        await until(lambda: all(said(fleet, each, "Unable ") for each in PROCESSES), within=60)
        await until(lambda: bool(said(fleet, "worker", "Heartbeat")), within=90)
        assert "BOOTSTRAP_SERVERS" in said(fleet, "worker", "Unable connect")[0]["advice"]
        await asyncio.to_thread(broker.start)
        await until(lambda: all(said(fleet, each, "no longer") for each in PROCESSES), within=120)
        for process in PROCESSES:
            counted = Counter(line["event"] for line in lines(fleet, process))
            assert sum(counted.values()) < 150, counted.most_common(12)
            assert max(counted.values()) < 15, counted.most_common(12)
    finally:
        fleet.close()
