"""Who gets which partitions: each topic is shared out evenly by itself, and few move on a change.

aiokafka's sticky assignor evens out all topics together: where one agent is busy and the others
rest, it may give all of the busy one's partitions to one worker. Here each partition goes to the
member that a hash prefers for it (rendezvous hashing), within an even quota for each topic. The
names are those of the workers, which outlive a restart, so what a restarted one gets stays.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_Shares = dict[str, dict[str, list[int]]]
"""For each member its topics, each with its partitions."""


class SpreadAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka is untyped
    name = "crewline-spread"
    version = 0
    worker = ""
    """aiokafka asks the class, not an object: each worker has its own, see `assignor_of`."""

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), cls.worker.encode())

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        readers: dict[str, dict[str, str]] = {}
        for member, told in members.items():
            for topic in told.subscription:
                readers.setdefault(topic, {})[(told.user_data or b"").decode() or member] = member
        shares: _Shares = {member: {} for member in members}
        for topic, named in sorted(readers.items()):
            for partition, name in share_out(topic, cluster.partitions_for_topic(topic), named):
                shares[named[name]].setdefault(topic, []).append(partition)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(share.items()), b"")
            for member, share in shares.items()
        }

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is remembered: the same members always get the same."""


def assignor_of(worker: str) -> type[SpreadAssignor]:
    """The assignor of the worker with this name, which no other has."""
    return type("Spread", (SpreadAssignor,), {"worker": worker})


def share_out(
    topic: str, partitions: Iterable[int] | None, names: Iterable[str]
) -> list[tuple[int, str]]:
    """Each partition of a topic with the name of its reader; none has two more than another."""
    wanted, readers = sorted(partitions or ()), sorted(names)
    each, more = divmod(len(wanted), len(readers))
    favoured = sorted(readers, key=lambda name: _weight(topic, "", name))[:more]
    room = {name: each + (name in favoured) for name in readers}
    shared = []
    for partition in wanted:
        free = (name for name in readers if room[name])
        chosen = max(free, key=lambda name: _weight(topic, partition, name))
        room[chosen] -= 1
        shared.append((partition, chosen))
    return shared


def _weight(*parts: object) -> bytes:
    return blake2b("\n".join(map(str, parts)).encode(), digest_size=8).digest()
