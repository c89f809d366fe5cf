"""What every Redelivery must do; each adapter's test class subclasses this."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import PayloadTooLarge
from app.ports.redelivery import Redelivery, Resent
from tests.builders import TRACEPARENT, at, submitted, task_id

ReadCommand = Callable[[], Awaitable[SubmitTask]]
"""The first command that was sent, as its worker reads it."""

AGAIN = Earlier(attempts=2, failures=0, redrives=1, redriven_at=at(30))


def origin_of_task(**changes: Any) -> Origin:
    """Where a task's command stood before it became a letter."""
    origin = Origin(
        topic="crewline.commands.business-analyst",
        partition=1,
        offset=7,
        timestamp=at(0),
        key=task_id().encode(),
        value=submitted().model_dump_json().encode(),
    )
    return replace(origin, **changes)


class RedeliveryContract:
    @pytest.fixture
    def redelivery(self) -> Redelivery:
        raise NotImplementedError("the subclass provides the redelivery under test")

    @pytest.fixture
    def read_command(self) -> ReadCommand:
        raise NotImplementedError("the subclass reads what was sent by other means")

    @pytest.fixture
    def origin(self) -> Origin:
        return origin_of_task()

    async def test_a_task_comes_again_with_what_became_of_it(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        await redelivery.send(origin, Resent(task_id(), AGAIN))
        command = await read_command()
        assert command == submitted().model_copy(update={"earlier": AGAIN})

    async def test_what_became_of_it_before_is_said_anew(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        old = tuple((f"crewline-{name}", b"9") for name in ("attempts", "failures", "redrives"))
        before = replace(origin, headers=old)
        await redelivery.send(before, Resent(task_id(), AGAIN))
        assert (await read_command()).earlier == AGAIN

    async def test_it_goes_on_in_the_trace_it_names(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        own = replace(origin, headers=(("traceparent", TRACEPARENT.encode()),))
        other = TRACEPARENT.replace("0af7", "1111")
        await redelivery.send(own, Resent(task_id(), AGAIN, traceparent=other))
        assert (await read_command()).traceparent == TRACEPARENT

    async def test_without_one_it_goes_on_in_the_trace_of_its_task(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        await redelivery.send(origin, Resent(task_id(), AGAIN, traceparent=TRACEPARENT))
        assert (await read_command()).traceparent == TRACEPARENT

    async def test_another_value_is_sent_instead(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        broken = replace(origin, value=None, headers=(("traceparent", TRACEPARENT.encode()),))
        edited = submitted(input="What is a log?")
        await redelivery.send(broken, Resent(task_id(), AGAIN, edited=edited))
        command = await read_command()
        changes = {"earlier": AGAIN, "traceparent": TRACEPARENT}
        assert command == edited.model_copy(update=changes)

    async def test_what_was_not_kept_cannot_be_sent(
        self, redelivery: Redelivery, origin: Origin
    ) -> None:
        gone = replace(origin, value=None)
        with pytest.raises(PayloadTooLarge):
            await redelivery.send(gone, Resent(task_id(), AGAIN))
