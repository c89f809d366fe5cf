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
