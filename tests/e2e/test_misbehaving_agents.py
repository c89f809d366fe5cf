"""Whatever an agent does to the process it shares, its worker goes on, and ends when it is told."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.misbehaving import WAYS
from tests.e2e.outside import EVERYTHING, new_fleet, outside, standing, start
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.alone, pytest.mark.timeout(300)]


@pytest.fixture
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with standing(new_fleet(tmp_path_factory.mktemp("misbehaving"), kafka)) as fleet:
        start(fleet, *EVERYTHING)
        yield fleet


async def test_a_worker_outlives_what_agents_do_to_it_and_says_so(fleet: Fleet) -> None:
    async with outside(fleet) as user:
        for way in WAYS:
            task = await user.ended(await user.submit("misbehaver", {"parameters": {"way": way}}))
            assert task["state"] in {"completed", "failed"}, way
            assert task["attempt"] == 1, way
            after = await user.ended(await user.submit("sleeper", {}))
            assert (after["state"], after["attempt"]) == ("completed", 1), way
        fleet.refuse_dead()
        assert await fleet.stop("worker") == 0
    lines = [line for line in fleet.log_of("worker").splitlines() if line.startswith("{")]
    for told, what in (
        ("wanted to end this process, which goes on", "SystemExit(3)"),
        ("wanted to end this process, which goes on", "KeyboardInterrupt()"),
        ("wanted to end this process, which goes on", "SystemExit(4)"),
        ("stopped the event loop", "which goes on"),
        ("which is put back", "sys.stdout"),
        ("which is put back", "sys.stderr"),
        ("which is put back", "logging"),
        ("which is put back", "the working directory"),
        ("which is put back", "the recursion limit"),
        ("which is put back", "the garbage collector"),
        ("which is put back", "SIGTERM"),
        ("left behind", "left-by-an-agent"),
    ):
        assert any(told in line and what in line for line in lines), what


async def test_an_agent_that_cancels_its_worker_ends_it_with_an_error_and_is_given_up(
    fleet: Fleet,
) -> None:
    async with outside(fleet) as user:
        task_id = await user.submit("canceler", {})
        ends = []
        for _ in range(4):
            worker = fleet.running["worker"]
            await until(lambda: worker.poll() is not None, 60)  # noqa: B023
            ends.append(worker.returncode)
            fleet.start("worker")
            with suppress(TimeoutError):
                task = await user.ended(task_id, 6)
                break
        assert set(ends) == {1}
        assert (task["state"], task["error"]["code"]) == ("failed", "poison")
        await fleet.stop("worker")
