"""Whoever can write to the topic of workers can claim to be many: what is kept is bounded."""

import logging

import pytest

from app.domain.model.fleet import LONGEST_LEASE, Place, Share, WorkerHeartbeat
from app.domain.model.ids import WorkerId
from app.domain.use_cases.fleet import Fleet
from app.ports.fleet import Heard
from tests.builders import T0, at, heartbeat, place, task_id

HOUR, DAY = 3_600, 86_400


class Watch:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def fleet_of(watch: Watch, most: int = 1_000, own: str | None = None) -> Fleet:
    return Fleet(watch, lambda: at(0), own=WorkerId(own) if own else None, most=most)


async def hear(fleet: Fleet, *words: WorkerHeartbeat) -> None:
    for word in words:
        await fleet.hear(Heard(word, live=True))


def names(fleet: Fleet) -> list[str]:
    return [member.heartbeat.worker_id for member in fleet.members()]


def large(name: str, size: int, number: int = 1) -> WorkerHeartbeat:
    share = Share(topic="t" * size, partitions=(), lag=0)
    return heartbeat(name, number).model_copy(update={"topics": (share,)})


async def test_who_lives_is_forgotten_for_nobody(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(watch, most=3)
    await hear(fleet, heartbeat("a", running=("t-1",)), heartbeat("b"), heartbeat("c"))
    with caplog.at_level(logging.WARNING):
        await hear(fleet, *(heartbeat(f"forged-{n}", running=("t-1",)) for n in range(500)))
    assert names(fleet) == ["a", "b", "c"]
    assert fleet.refused == 500
    assert len(caplog.records) == 1
    assert "forged-0" in caplog.text
    holder = fleet.holder(task_id("t-1"), WorkerId("b"))
    assert holder
    assert holder.heartbeat.worker_id == "a"
    await hear(fleet, heartbeat("b", 2, running=("t-2",)))
    assert fleet.holder(task_id("t-2"), WorkerId("a"))


async def test_who_is_gone_makes_room(watch: Watch) -> None:
    fleet = fleet_of(watch, most=3)
    await hear(fleet, heartbeat("a"), heartbeat("b"), heartbeat("c", state="stopped"))
    await hear(fleet, heartbeat("d"))
    assert names(fleet) == ["a", "b", "d"]
    watch.seconds = 5
    await hear(fleet, heartbeat("b", 2), heartbeat("d", 2))
    watch.seconds = 10
    await hear(fleet, heartbeat("e"))
    assert names(fleet) == ["b", "d", "e"]


async def test_a_worker_always_hears_itself(watch: Watch) -> None:
    fleet = fleet_of(watch, most=2, own="me")
    await hear(fleet, heartbeat("a"), heartbeat("b"), heartbeat("me"), large("me", 50_000_000, 2))
    assert names(fleet) == ["a", "b", "me"]
    await hear(fleet, large("a", 100_000, 2))
    assert fleet.member(WorkerId("me"))


async def test_large_words_share_what_there_is_and_small_ones_always_have_room(
    watch: Watch,
) -> None:
    fleet = fleet_of(watch)
    await hear(fleet, *(large(f"forged-{n:03}", 900_000) for n in range(100)))
    assert len(names(fleet)) == 17
    await hear(fleet, *(heartbeat(f"w-{n:03}", running=("t-1",)) for n in range(900)))
    assert len(names(fleet)) == 917
    kept = sum(member.size for member in fleet.members())
    assert kept < 32_000_000


async def test_nobody_is_shown_for_ever(watch: Watch) -> None:
    fleet = fleet_of(watch)
    await hear(fleet, heartbeat("a"), heartbeat("b", lease=1e300), heartbeat("c", state="stopped"))
    watch.seconds = LONGEST_LEASE + 1
    fleet.in_touch(watch())
    assert {each.heartbeat.worker_id: each.health(watch()) for each in fleet.members()} == {
        "a": "stale",
        "b": "stale",
    }
    watch.seconds = DAY + 2 * HOUR
    fleet.in_touch(watch())
    await hear(fleet, heartbeat("d"))
    assert names(fleet) == ["d"]


async def test_while_the_log_is_away_nobody_is_forgotten(watch: Watch) -> None:
    fleet = fleet_of(watch)
    await hear(fleet, heartbeat("a"), heartbeat("b"))
    watch.seconds = 3 * DAY
    await hear(fleet, heartbeat("a", 2))
    assert names(fleet) == ["a", "b"]


async def test_what_was_finished_is_remembered_as_it_is_and_no_more_than_that(
    watch: Watch,
) -> None:
    fleet = fleet_of(watch)
    known = place(7)
    odd = Place.model_validate({**known.model_dump(), "extra": "x" * 100_000, "offset": 8})
    endless = Place(topic="t" * 300, partition=0, offset=9, written_at=T0)
    word = heartbeat("a").model_copy(update={"finished": (known, odd, endless)})
    await hear(fleet, word)
    assert fleet.has_finished(known)
    assert fleet.has_finished(place(8))
    assert not fleet.has_finished(endless)
