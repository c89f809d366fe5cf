"""Partitions are shared out evenly topic by topic, and few move when the members change."""

from collections import Counter

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.kafka.assignor import SpreadAssignor, Standing, assignor_of, share_out
from app.adapters.kafka.topics import Topics
from app.domain.model.ids import AgentName, RuntimeName

PYTHON = RuntimeName("python")
names = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=8)


class Cluster:
    def __init__(self, **topics: int) -> None:
        self._topics = topics

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        count = self._topics.get(topic)
        return None if count is None else set(range(count))


def member(worker: str, *topics: str) -> ConsumerProtocolMemberMetadata:
    return assignor_of(Standing(worker)).metadata(topics)


@given(partitions=st.integers(0, 40), readers=names)
def test_every_partition_has_one_reader_and_no_reader_two_more_than_another(
    partitions: int, readers: set[str]
) -> None:
    shared = share_out("t", range(partitions), readers)
    assert [partition for partition, _ in shared] == list(range(partitions))
    counts = Counter(name for _, name in shared)
    assert max(counts.values(), default=0) - min((counts[name] for name in readers), default=0) <= 1


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_a_new_member_takes_its_share_and_little_else_moves(workers: int) -> None:
    before = dict(share_out("t", range(60), (f"w-{i}" for i in range(workers))))
    after = dict(share_out("t", range(60), (f"w-{i}" for i in range(workers + 1))))
    moved = sum(before[partition] != after[partition] for partition in before)
    assert moved <= 60 / (workers + 1) * 1.7


def test_a_busy_topic_is_shared_however_many_others_there_are() -> None:
    topics = {f"t{i}": 3 for i in range(20)}
    members = {"m-1": member("w-1", *topics), "m-2": member("w-2", *topics)}
    shares = SpreadAssignor.assign(Cluster(**topics), members)
    for share in shares.values():
        assert {len(partitions) for _, partitions in share.assignment} <= {1, 2}
        assert {topic for topic, _ in share.assignment} == topics.keys()


def test_a_restarted_worker_gets_what_it_had_whatever_the_broker_calls_it() -> None:
    topics = {"a": 6, "b": 1}
    first = {"x1": member("w-1", *topics), "y1": member("w-2", *topics)}
    second = {"y1": member("w-2", *topics), "a9": member("w-1", *topics)}
    before = SpreadAssignor.assign(Cluster(**topics), first)
    after = SpreadAssignor.assign(Cluster(**topics), second)
    assert before["x1"].assignment == after["a9"].assignment


def test_nobody_is_given_a_topic_it_does_not_read() -> None:
    members = {"m-1": member("w-1", "a"), "m-2": member("w-2", "a", "b")}
    shares = SpreadAssignor.assign(Cluster(a=2, b=4), members)
    assert dict(shares["m-1"].assignment).keys() == {"a"}
    assert dict(shares["m-2"].assignment)["b"] == [0, 1, 2, 3]


TOPICS = Topics("t")
OLD = {AgentName("known"): [RuntimeName("rules")]}
NEW = {AgentName("known"): [RuntimeName("rules"), PYTHON], AgentName("added"): [PYTHON]}


@pytest.mark.parametrize(
    ("topic", "readers"),
    [
        (TOPICS.commands("known"), {"old", "new", "earlier"}),
        (TOPICS.commands("known", "python"), {"new", "earlier"}),
        (TOPICS.commands("added"), {"new", "earlier"}),
        (TOPICS.urgent("added"), {"new", "earlier"}),
        (TOPICS.retries, {"old", "new", "earlier"}),
    ],
)
def test_a_topic_goes_to_those_that_know_its_agent_and_runtime(
    topic: str, readers: set[str]
) -> None:
    members = {
        "old": assignor_of(Standing("old", OLD)).metadata([topic]),
        "new": assignor_of(Standing("new", NEW)).metadata([topic]),
        # of a version that tells its name only: it takes whatever there is
        "earlier": ConsumerProtocolMemberMetadata(0, [topic], b"w-earlier"),
    }
    shares = assignor_of(Standing("old", OLD), TOPICS.read_command_topic).assign(
        Cluster(**{topic: 30}), members
    )
    assert {name for name, share in shares.items() if share.assignment} == readers


def test_a_topic_nobody_knows_goes_to_all_so_that_it_is_refused() -> None:
    topic = TOPICS.commands("nobody")
    members = {
        name: assignor_of(Standing(name, OLD)).metadata([topic]) for name in ("one", "other")
    }
    leader = assignor_of(Standing("one", OLD), TOPICS.read_command_topic)
    shares = leader.assign(Cluster(**{topic: 4}), members)
    assert {len(share.assignment[0][1]) for share in shares.values()} == {2}


def test_an_agent_that_others_know_better_is_theirs_while_there_are_others() -> None:
    topic, standing = TOPICS.commands("known"), Standing("one", OLD)
    standing.left.add(AgentName("known"))
    one, leader = (
        assignor_of(standing),
        assignor_of(Standing("two", OLD), TOPICS.read_command_topic),
    )
    members = {"one": one.metadata([topic]), "two": leader.metadata([topic])}
    shares = leader.assign(Cluster(**{topic: 4}), members)
    assert shares["one"].assignment == []
    alone = leader.assign(Cluster(**{topic: 4}), {"one": one.metadata([topic])})
    assert alone["one"].assignment == [(topic, [0, 1, 2, 3])]
