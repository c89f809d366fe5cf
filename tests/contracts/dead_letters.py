"""What every DeadLetters must do; each adapter's test class subclasses this."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason, Origin
from app.ports.dead_letters import DeadLetters
from tests.builders import at, task_id

ReadLetters = Callable[[], Awaitable[list[DeadLetter]]]
"""Every letter that lies there, in the order they were put."""

NOT_TEXT = b"\xff\x00\xfe"


def letter(offset: int = 7, **changes: object) -> DeadLetter:
    origin = Origin(
        topic="crewline.commands.business-analyst",
        partition=3,
        offset=offset,
        timestamp=at(1),
        key=b"key",
        value=b"no json",
        headers=(("ce_id", b"1"),),
    )
    whole = DeadLetter(
        origin=origin,
        reason=DeadLetterReason.UNDECODABLE,
        detail="the value is not JSON",
        task_id=task_id(),
        at=at(2),
    )
    return whole.model_copy(update=changes)


class DeadLettersContract:
    @pytest.fixture
    def dead_letters(self) -> DeadLetters:
        raise NotImplementedError("the subclass provides the dead letters under test")

    @pytest.fixture
    def read_letters(self) -> ReadLetters:
        raise NotImplementedError("the subclass reads them by other means")

    async def test_a_letter_is_kept_whole(
        self, dead_letters: DeadLetters, read_letters: ReadLetters
    ) -> None:
        await dead_letters.put(letter())
        assert await read_letters() == [letter()]

    async def test_bytes_that_are_no_text_stay_as_they_are(
        self, dead_letters: DeadLetters, read_letters: ReadLetters
    ) -> None:
        headers = (("a", NOT_TEXT), ("a", b""), ("traceparent", b"broken"))
        origin = replace(letter().origin, key=NOT_TEXT, value=NOT_TEXT * 1_000, headers=headers)
        strange = letter(origin=origin)
        await dead_letters.put(strange)
        assert await read_letters() == [strange]

    async def test_a_message_without_key_or_task_can_be_a_letter(
        self, dead_letters: DeadLetters, read_letters: ReadLetters
    ) -> None:
        bare = letter(task_id=None, origin=replace(letter().origin, key=None))
        await dead_letters.put(bare)
        assert await read_letters() == [bare]

    async def test_a_message_may_be_a_letter_again(
        self, dead_letters: DeadLetters, read_letters: ReadLetters
    ) -> None:
        await dead_letters.put(letter())
        [first] = await read_letters()
        headers = (*first.origin.headers, ("dlq-reason", b"old"))
        again = letter(
            offset=8,
            reason=DeadLetterReason.INVALID,
            origin=replace(first.origin, offset=8, headers=headers),
        )
        await dead_letters.put(again)
        assert again in await read_letters()

    async def test_a_repeat_is_harmless(
        self, dead_letters: DeadLetters, read_letters: ReadLetters
    ) -> None:
        await dead_letters.put(letter())
        await dead_letters.put(letter())
        assert {repr(each) for each in await read_letters()} == {repr(letter())}
