"""Commits carry what was done and running out of order, and a restart believes them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.kafka.offsets import MAX_METADATA, PartitionOffsets, Snapshot, Tries


def restored(offsets: PartitionOffsets) -> PartitionOffsets:
    commit = offsets.commit()
    assert commit is not None
    return PartitionOffsets(Snapshot.decode(*commit), end=10_000)


def read(offsets: PartitionOffsets, *records: int) -> list[int]:
    return [record for record in records if offsets.accept(record)]


@given(
    position=st.integers(0, 2**40),
    ahead=st.integers(0, 5_000),
    done=st.sets(st.integers(0, 5_000)),
    running=st.dictionaries(
        st.integers(0, 5_000),
        st.builds(
            Tries,
            st.integers(1, 300),
            st.integers(0, 300),
            st.integers(0, 300),
            st.integers(0, 2**33),
        ),
        max_size=64,
    ),
)
def test_a_snapshot_survives_its_encoding(
    position: int, ahead: int, done: set[int], running: dict[int, Tries]
) -> None:
    bits = sum(1 << each for each in done)
    attempts = {position + offset: attempt for offset, attempt in running.items()}
    snapshot = Snapshot(position, position + ahead, bits, attempts)
    assert Snapshot.decode(position, snapshot.encode()) == snapshot


@given(metadata=st.text(max_size=40))
def test_foreign_metadata_is_read_as_nothing_done(metadata: str) -> None:
    assert Snapshot.decode(7, metadata).position == 7


@given(data=st.data())
def test_after_a_restart_just_the_unfinished_is_handed_out_again(data: st.DataObject) -> None:
    log = range(60)
    finished: set[int] = set()
    attempts = dict.fromkeys(log, 0)
    offsets = PartitionOffsets(None, end=0)
    for _ in range(data.draw(st.integers(1, 4), "restarts")):
        upto = data.draw(st.integers(0, 60), "read up to")
        handed = read(offsets, *range(upto))
        assert not finished & set(handed)
        for record in data.draw(st.lists(st.sampled_from(handed), unique=True)) if handed else []:
            attempts[record] += 1
            assert offsets.start(record).starts == attempts[record]
            if data.draw(st.booleans(), "finishes"):
                offsets.complete(record)
                finished.add(record)
        if offsets.commit():
            offsets = restored(offsets)
    assert read(offsets, *log) == [record for record in log if record not in finished]


def test_the_position_waits_for_the_lowest_unfinished_record() -> None:
    offsets = PartitionOffsets(None, end=0)
    read(offsets, 10, 11, 12)
    for record in (11, 12):
        offsets.start(record)
        offsets.complete(record)
    assert (offsets.commit() or (0,))[0] == 10
    offsets.start(10)
    offsets.complete(10)
    assert (offsets.commit() or (0,))[0] == 13


def test_gaps_in_the_log_are_no_unfinished_work() -> None:
    offsets = PartitionOffsets(None, end=0)
    read(offsets, 0, 5, 9)
    for record in (0, 5, 9):
        offsets.start(record)
        offsets.complete(record)
    assert (offsets.commit() or (0,))[0] == 10


def test_only_what_a_former_owner_reached_is_suspected_of_having_run() -> None:
    offsets = PartitionOffsets(Snapshot(100, seen=110), end=5_000)
    assert offsets.may_have_run(100)
    assert offsets.may_have_run(110)  # started after the last commit, perhaps
    assert not offsets.may_have_run(4_000)
    idle = PartitionOffsets(Snapshot(100, seen=110), end=110)
    assert not idle.may_have_run(110)  # was not there yet


def test_where_runs_have_no_room_in_a_commit_it_still_says_what_is_done() -> None:
    offsets, chance = PartitionOffsets(None, end=0), random.Random(1)
    done = {offset for offset in range(4_000) if chance.random() < 0.5}
    for offset in range(4_000):
        offsets.accept(offset)
        offsets.start(offset)
    for offset in range(4_000):
        if offset in done:
            offsets.complete(offset)
        else:
            offsets.end(offset, failed=True, not_before=1_800_000_000 + chance.randrange(30))
    committed = offsets.commit()
    assert committed is not None
    assert len(committed[1]) <= MAX_METADATA
    restored = Snapshot.decode(*committed)
    assert {offset for offset in range(4_000) if restored.is_done(offset)} == done
    assert restored.seen == 4_000
    assert offsets.blocked


def test_a_partition_takes_no_more_before_its_metadata_overflows() -> None:
    offsets = PartitionOffsets(None, end=0)
    chance = random.Random(5)
    for record in range(60_000):
        offsets.accept(record)
        if record and chance.random() < 0.8:
            offsets.start(record)
            offsets.complete(record)
        if record % 100 == 99:
            _, metadata = offsets.commit() or (0, "")
            assert 0 < len(metadata) <= MAX_METADATA
            if offsets.blocked:
                return
    raise AssertionError("it would have read on for ever")


@pytest.mark.parametrize("restarts", [1, 5])
def test_attempts_are_counted_across_restarts(restarts: int) -> None:
    offsets = PartitionOffsets(None, end=0)
    for attempt in range(1, restarts + 2):
        read(offsets, 3, 4)
        assert offsets.start(3) == Tries(attempt, failures=0, interrupted=attempt - 1)
        offsets = restored(offsets)


def test_only_runs_that_ended_with_their_worker_count_as_interrupted() -> None:
    offsets = PartitionOffsets(None, end=0)
    read(offsets, 3)
    offsets.start(3)
    offsets.end(3, failed=True)
    offsets.start(3)
    offsets.end(3, failed=False)
    offsets.start(3)
    died, handed_over = offsets.commit(), offsets.commit(handing_over=True)
    assert died
    assert handed_over
    assert Snapshot.decode(*died).running == {3: Tries(3, failures=1, interrupted=1)}
    assert Snapshot.decode(*handed_over).running == {3: Tries(3, failures=1, interrupted=0)}


def test_when_the_next_run_may_begin_survives_until_there_was_one() -> None:
    offsets = PartitionOffsets(None, end=0)
    read(offsets, 3)
    offsets.start(3)
    offsets.end(3, failed=True, not_before=1_800_000_000)
    for _ in range(2):
        offsets = restored(offsets)
        read(offsets, 3)
        assert offsets.tries(3) == Tries(1, failures=1, not_before=1_800_000_000)
        offsets.start(3)
        offsets.end(3, failed=True, counted=False)
    offsets.start(3)
    offsets.end(3, failed=True)
    assert offsets.tries(3) == Tries(2, failures=2)


def test_what_ran_beside_others_is_not_blamed_when_its_worker_dies() -> None:
    offsets = PartitionOffsets(None, end=0)
    read(offsets, 3, 4)
    offsets.start(3)
    offsets.start(4)
    assert offsets.excuse(3)
    assert not offsets.excuse(3)
    assert not offsets.excuse(5)
    died = offsets.commit()
    assert died
    assert Snapshot.decode(*died).running == {3: Tries(1, 0, 0), 4: Tries(1, 0, 1)}
    offsets.end(3, failed=False)
    offsets.start(3)
    died = offsets.commit()
    assert died
    assert Snapshot.decode(*died).running[3] == Tries(2, 0, 1)
