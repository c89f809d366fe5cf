"""Before a task is refused the fleet is asked, which may know its agent."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.adapters.memory.fleet import MemoryFleet
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import InvalidInput, Rejected, UnknownAgent
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import AgentName
from app.domain.use_cases.elsewhere import Elsewhere
from app.ports.task_queue import Delivery
from tests.builders import ANALYST, heartbeat, submitted
from tests.unit.test_lease import LEASE, Watch, Worker, at_once, delivered

PATIENCE = 300.0
STRANGER = AgentName("stranger")
UNKNOWN = UnknownAgent("no agent is called 'stranger'")
INVALID = InvalidInput("input: has 60 characters, and 5 may be")


class Asked:
    """One worker that knows the analyst in edition 1, and what it left to others."""

    def __init__(self, worker: Worker, fleet: MemoryFleet, watch: Watch) -> None:
        self.fleet, self.watch, self.worker = fleet, watch, worker
        self.left: list[AgentName] = []
        self.number = 0
        self.elsewhere = Elsewhere(worker.presence, watch, self.left.append, PATIENCE)

    async def wait(self, refusal: Rejected, *, accepted: bool = False, offset: int = 0) -> bool:
        """Whether the task is kept."""
        agent = STRANGER if refusal is UNKNOWN else ANALYST
        command: SubmitTask = submitted(f"t-{offset}", agent=agent)
        delivery: Delivery = delivered(offset=offset)
        if accepted:
            headers = (("ce_source", b"/crewline"),)
            delivery.origin = replace(delivery.origin, headers=headers)
        return await self.elsewhere.wait(delivery, command, refusal) is not None

    async def hear(self, **editions: str) -> None:
        self.number += 1
        self.watch.seconds += 2  # what was heard before is old
        said: WorkerHeartbeat = heartbeat("other", self.number).model_copy(
            update={"agents": tuple(editions), "editions": editions}
        )
        await self.fleet.send(said)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    fleet, watch = MemoryFleet(), Watch()
    worker = Worker(fleet, watch, at_once)
    object.__setattr__(worker.presence.profile, "agents", (ANALYST,))
    object.__setattr__(worker.presence.profile, "editions", {ANALYST: "1"})
    async with worker.present():
        yield Asked(worker, fleet, watch)


async def test_an_agent_nobody_knows_is_refused_after_five_seconds_and_the_next_one_at_once(
    asked: Asked,
) -> None:
    assert await asked.wait(UNKNOWN)
    asked.watch.seconds += 4
    assert await asked.wait(UNKNOWN)
    asked.watch.seconds += 2
    assert not await asked.wait(UNKNOWN)
    assert not await asked.wait(UNKNOWN, offset=1)
    assert asked.left == []


async def test_an_input_that_does_not_fit_is_refused_at_once_where_nobody_accepted_it(
    asked: Asked,
) -> None:
    await asked.hear(**{ANALYST: "1"})
    assert not await asked.wait(INVALID)


@pytest.mark.parametrize("refusal", [UNKNOWN, INVALID])
async def test_what_a_gateway_accepted_waits_for_a_worker_that_takes_it(
    asked: Asked, refusal: Rejected
) -> None:
    assert await asked.wait(refusal, accepted=True)
    asked.watch.seconds += PATIENCE - 1
    assert await asked.wait(refusal, accepted=True)
    asked.watch.seconds += 2
    assert not await asked.wait(refusal, accepted=True)


@pytest.mark.parametrize(
    ("refusal", "editions"), [(UNKNOWN, {STRANGER: "1"}), (INVALID, {ANALYST: "2"})]
)
async def test_what_another_worker_knows_is_left_to_it(
    asked: Asked, refusal: Rejected, editions: dict[str, str]
) -> None:
    await asked.hear(**editions)
    for offset in range(3):
        assert await asked.wait(refusal, offset=offset)
    assert len(asked.left) == 1
    asked.watch.seconds += 11
    await asked.hear(**editions)
    assert await asked.wait(refusal)
    assert len(asked.left) == 2


async def test_a_worker_that_is_gone_for_a_moment_is_waited_for(asked: Asked) -> None:
    await asked.hear(**{STRANGER: "1"})
    assert await asked.wait(UNKNOWN)
    asked.watch.seconds += LEASE * 5
    assert await asked.wait(UNKNOWN)
    asked.watch.seconds += PATIENCE

    assert await asked.wait(UNKNOWN)  # from now on nobody is known to know it
    asked.watch.seconds += 6
    assert not await asked.wait(UNKNOWN)
