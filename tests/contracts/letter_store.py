"""What every LetterStore must answer; each adapter's test class subclasses this."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import InvalidInput
from app.domain.model.ids import LetterId
from app.domain.model.letters import (
    KnownLetter,
    LetterDiscarded,
    LetterRedriven,
    LetterState,
    Settlement,
)
from app.ports.letter_store import LetterFilter, LetterPage, LetterStore
from app.ports.status_store import Lying, ViewStore, ViewUpdate
from tests.builders import ANALYST, at, submitted, task_id
from tests.contracts.dead_letters import NOT_TEXT, letter


class LetterViews(NamedTuple):
    """The letters among one set of views, and who keeps them."""

    letters: LetterStore
    writer: ViewStore

    async def hear(self, *heard: DeadLetter | Lying | Settlement) -> None:
        """Save these, in this order, as a projector that read them would."""
        lying = [
            Lying(each, 0, offset) if isinstance(each, DeadLetter) else each
            for offset, each in enumerate(heard)
            if isinstance(each, DeadLetter | Lying)
        ]
        done = [each for each in heard if isinstance(each, Settlement)]
        await self.writer.save(ViewUpdate([], {}, [], {}, {}, letters=lying, settlements=done))

    async def known(self, letter_id: LetterId) -> KnownLetter:
        found = await self.letters.find(letter_id)
        assert found is not None
        return found


def redriven(about: DeadLetter, by: str = "ada") -> LetterRedriven:
    return LetterRedriven(letter_id=about.id, at=at(9), by=by, task_id=task_id(), redrives=1)


def discarded(about: DeadLetter, by: str = "bob") -> LetterDiscarded:
    return LetterDiscarded(letter_id=about.id, at=at(9), by=by, comment="a test \x00")


def offsets(page: LetterPage) -> Sequence[int]:
    return [known.letter.origin.offset for known in page.items]


class LetterStoreContract:
    @pytest.fixture
    def views(self) -> LetterViews:
        raise NotImplementedError("the subclass provides the letters under test")

    async def test_a_letter_is_kept_to_the_byte(self, views: LetterViews) -> None:
        headers = (("a", NOT_TEXT), ("a", b""), ("naïve \x00", b"1"))
        origin = replace(letter().origin, key=NOT_TEXT, value=NOT_TEXT * 1_000, headers=headers)
        strange = letter(
            origin=origin,
            detail="not text: \x00 🙂",
            agent=ANALYST,
            attempts=3,
            redrives=1,
        )
        await views.hear(strange)
        assert await views.letters.find(strange.id) == KnownLetter(strange)

    async def test_a_letter_without_key_value_or_task_can_be_found(
        self, views: LetterViews
    ) -> None:
        bare = replace(letter().origin, key=None, value=None)
        await views.hear(letter(origin=bare, task_id=None))
        assert await views.known(letter().id) == KnownLetter(letter(origin=bare, task_id=None))

    async def test_a_letter_nobody_heard_of_is_none(self, views: LetterViews) -> None:
        assert await views.letters.find(letter().id) is None

    async def test_lists_leave_the_bytes_out(self, views: LetterViews) -> None:
        await views.hear(letter())
        (known,) = (await views.letters.list(LetterFilter(), 10, None)).items
        assert (known.id, known.letter.detail) == (letter().id, letter().detail)
        origin = known.letter.origin
        assert (origin.key, origin.value, origin.headers) == (None, None, ())

    @pytest.mark.parametrize("first", ["letter", "fact", "together"])
    async def test_a_letter_and_what_was_done_about_it_meet_in_any_order(
        self, views: LetterViews, first: str
    ) -> None:
        halves: list[DeadLetter | Settlement] = [letter(), redriven(letter())]
        if first == "together":
            await views.hear(*halves)
        else:
            for half in halves if first == "letter" else reversed(halves):
                await views.hear(half)
        known = await views.known(letter().id)
        assert known == KnownLetter(letter(), redriven(letter()))
        assert known.state is LetterState.REDRIVEN

    async def test_what_was_done_about_an_unknown_letter_shows_nothing(
        self, views: LetterViews
    ) -> None:
        await views.hear(redriven(letter()))
        assert await views.letters.find(letter().id) is None
        assert offsets(await views.letters.list(LetterFilter(), 10, None)) == []
        assert await views.letters.waiting() == {}

    async def test_the_first_word_about_a_letter_stays(self, views: LetterViews) -> None:
        await views.hear(letter(), discarded(letter(), "ada"))
        await views.hear(discarded(letter(), "bob"))
        assert (await views.known(letter().id)).settled == discarded(letter(), "ada")

    async def test_what_was_sent_was_sent_whoever_discarded_it(self, views: LetterViews) -> None:
        await views.hear(letter(1), letter(2))
        await views.hear(discarded(letter(1)), redriven(letter(1)))
        await views.hear(redriven(letter(2)), discarded(letter(2)))
        for offset in (1, 2):
            assert (await views.known(letter(offset).id)).state is LetterState.REDRIVEN

    async def test_of_two_letters_for_one_message_the_later_one_counts(
        self, views: LetterViews
    ) -> None:
        early, late = letter(attempts=1, at=at(2)), letter(attempts=2, at=at(3))
        for order in ((early, late), (late, early)):
            await views.writer.clear()
            for each in order:
                await views.hear(each)
            assert (await views.known(early.id)).letter == late
        await views.writer.clear()
        same = [Lying(letter(attempts=n), n, 0) for n in (2, 3, 1)]  # three partitions, one moment
        for lying in same:
            await views.hear(lying)
        assert (await views.known(early.id)).letter.attempts == 3

    async def test_a_repeat_does_not_wake_what_is_settled(self, views: LetterViews) -> None:
        await views.hear(letter(), discarded(letter()))
        await views.hear(letter(at=at(30)))
        assert (await views.known(letter().id)).state is LetterState.DISCARDED

    async def test_pages_go_on_in_both_directions_without_gap_or_repeat(
        self, views: LetterViews
    ) -> None:
        letters = [letter(n, at=at(n // 3)) for n in range(10)]  # some at one moment
        await views.hear(*letters)
        in_order = sorted(letters, key=lambda each: (each.at, each.id))
        for oldest_first in (True, False):
            seen: list[LetterId] = []
            cursor = None
            for size in (3, 3, 3, 1):
                page = await views.letters.list(
                    LetterFilter(), 3, cursor, oldest_first=oldest_first
                )
                assert len(page.items) == size
                seen += [known.id for known in page.items]
                cursor = page.next_cursor
            assert cursor is None
            expected = in_order if oldest_first else in_order[::-1]
            assert seen == [each.id for each in expected]

    async def test_a_list_holds_what_fits_every_wish(self, views: LetterViews) -> None:
        await views.hear(
            letter(1, agent=ANALYST, at=at(10)),
            letter(2, agent=ANALYST, at=at(20), reason=DeadLetterReason.POISON),
            letter(3, at=at(30)),
            discarded(letter(2)),
            redriven(letter(3)),
        )
        wishes: list[tuple[LetterFilter, list[int]]] = [
            (LetterFilter(agent=ANALYST), [2, 1]),
            (LetterFilter(reason=DeadLetterReason.POISON), [2]),
            (LetterFilter(state=LetterState.WAITING), [1]),
            (LetterFilter(state=LetterState.DISCARDED), [2]),
            (LetterFilter(state=LetterState.REDRIVEN), [3]),
            (LetterFilter(since=at(20)), [3, 2]),
            (LetterFilter(until=at(20)), [1]),
            (LetterFilter(since=at(10), until=at(30), agent=ANALYST), [2, 1]),
            (LetterFilter(state=LetterState.WAITING, reason=DeadLetterReason.POISON), []),
        ]
        for wanted, expected in wishes:
            assert offsets(await views.letters.list(wanted, 10, None)) == expected, wanted

    async def test_those_that_wait_are_counted_by_reason(self, views: LetterViews) -> None:
        await views.hear(
            *(letter(n) for n in range(3)),
            letter(3, reason=DeadLetterReason.POISON),
            letter(4),
            redriven(letter(4)),
        )
        assert await views.letters.waiting() == {
            DeadLetterReason.UNDECODABLE: 3,
            DeadLetterReason.POISON: 1,
        }

    async def test_a_broken_cursor_is_refused(self, views: LetterViews) -> None:
        for cursor in ("", "x", "💥", "MTIz"):
            with pytest.raises(InvalidInput):
                await views.letters.list(LetterFilter(), 10, cursor)

    async def test_a_log_that_begins_anew_leaves_the_letters(self, views: LetterViews) -> None:
        await views.writer.save(ViewUpdate([submitted()], {}, [], {}, {}))
        await views.hear(letter())
        await views.writer.begin_anew()
        assert await views.known(letter().id) == KnownLetter(letter())

    async def test_a_topic_made_anew_has_other_letters_at_the_same_place(
        self, views: LetterViews
    ) -> None:
        anew = letter(origin=replace(letter().origin, timestamp=at(5)))
        await views.hear(letter(), anew)
        assert len((await views.letters.list(LetterFilter(), 10, None)).items) == 2

    async def test_clear_forgets_them(self, views: LetterViews) -> None:
        await views.hear(letter(), redriven(letter()))
        await views.writer.clear()
        assert await views.letters.find(letter().id) is None
        await views.hear(letter())
        assert (await views.known(letter().id)).state is LetterState.WAITING
