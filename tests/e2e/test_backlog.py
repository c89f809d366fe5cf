"""More comes in than is done: the gateway says so, whoever put it there."""

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.fleet import Fleet
from tests.waiting import until_true

pytestmark = pytest.mark.kafka

BODY = {"agent": "sleeper", "input": "x"}
WAITING = 'crewline_backlog_tasks{agent="sleeper"}'


@pytest.mark.timeout(240)
async def test_a_full_backlog_is_refused_until_a_worker_has_made_room(fleet: Fleet) -> None:
    fleet.environment["CREWLINE_GATEWAY__MAX_BACKLOG"] = "10"
    for process in ("gateway", "projector"):
        fleet.start(process)
    await fleet.ready()
    producer = AIOKafkaProducer(bootstrap_servers=fleet.kafka, transactional_id=fleet.prefix)
    await producer.start()
    for number in range(18):  # each transaction takes an offset more, and ten are aborted
        await producer.begin_transaction()
        await producer.send_and_wait(f"{fleet.prefix}.commands.sleeper", b'{"input": "x"}')
        await (producer.abort_transaction() if number < 10 else producer.commit_transaction())
    await producer.stop()
    async with httpx.AsyncClient(base_url=fleet.url, timeout=30) as http:

        async def waits(tasks: int) -> bool:
            return f"{WAITING} {tasks}.0" in (await http.get("/metrics")).text

        await until_true(lambda: waits(8))
        for _ in range(2):
            assert (await http.post("/v1/tasks", json=BODY)).status_code == 202
        refused = await http.post("/v1/tasks", json=BODY)
        assert (refused.status_code, refused.json()["code"]) == (429, "backlog-full")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit"].startswith('"backlog";r=0;t=')
        critical = await http.post("/v1/tasks", json={**BODY, "priority": "critical"})
        assert critical.status_code == 429
        asked = fleet.run("submit", "sleeper", "x")
        assert (asked.returncode, "backlog-full" in asked.stderr) == (4, True)
        fleet.start("worker", "--runtimes", "python")
        await until_true(lambda: waits(0), within=60)
        assert (await http.post("/v1/tasks", json=BODY)).status_code == 202
