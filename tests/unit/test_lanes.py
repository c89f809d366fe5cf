"""Records of one key run one after another; all others pass."""

from app.adapters.kafka.lanes import Lanes


def lanes_of(*names: str) -> Lanes[str]:
    lanes: Lanes[str] = Lanes()
    for name in names:
        lanes.add(name[0], name)
    return lanes


def test_one_key_runs_one_at_a_time_in_order() -> None:
    lanes = lanes_of("a1", "a2", "b1")
    assert [lanes.take(), lanes.take(), lanes.take()] == ["a1", "b1", None]
    lanes.finish("a")
    assert lanes.take() == "a2"


def test_a_retry_goes_before_what_waits_behind_it() -> None:
    lanes = lanes_of("a1", "a2")
    assert lanes.take() == "a1"
    lanes.retry("a")
    assert lanes.take() == "a1"


def test_dropped_lanes_are_gone_even_when_they_were_to_be_retried() -> None:
    lanes = lanes_of("a1", "a2", "b1")
    lanes.drop(lambda item: item.startswith("a"))
    lanes.retry("a")
    assert [lanes.take(), lanes.take()] == ["b1", None]


def ranked(*names: str) -> Lanes[str]:
    """Lanes of items whose last character is their rank."""
    lanes: Lanes[str] = Lanes(ranks=4, rank=lambda name: int(name[-1]))
    for name in names:
        lanes.add(name[0], name)
    return lanes


def test_the_best_rank_goes_first_and_within_a_rank_the_first_to_come() -> None:
    lanes = ranked("a3", "b2", "c0", "d2", "e1", "f0")
    assert [lanes.take() for _ in range(6)] == ["c0", "f0", "e1", "b2", "d2", "a3"]
    assert lanes.take() is None


def test_the_order_of_a_lane_comes_before_rank() -> None:
    lanes = ranked("a3", "a0", "b2")
    assert [lanes.take(), lanes.take(), lanes.take()] == ["b2", "a3", None]
    lanes.finish("a")
    lanes.add("c", "c1")
    assert [lanes.take(), lanes.take()] == ["a0", "c1"]


def test_nobody_waits_for_ever() -> None:
    lanes = ranked("z3")
    for number in range(20):
        lanes.add(number, f"{number} 0")
    assert "z3" in [lanes.take() for _ in range(8)]


def test_only_the_best_ranks_are_taken_where_that_is_asked() -> None:
    lanes = ranked("a3", "b2", "c1")
    assert [lanes.take(ranks=2), lanes.take(ranks=2)] == ["c1", None]
    assert lanes.take() == "b2"


def test_dropped_lanes_of_every_rank_are_gone() -> None:
    lanes = ranked("a3", "b2", "c1")
    lanes.drop(lambda item: item != "b2")
    assert [lanes.take(), lanes.take()] == ["b2", None]
