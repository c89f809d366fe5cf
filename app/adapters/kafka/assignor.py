"""Who gets which partitions: each topic is shared out evenly by itself, and few move on a change.

aiokafka's sticky assignor evens out all topics together: where one agent is busy and the others
rest, it may give all of the busy one's partitions to one worker. Here each partition goes to the
member that a hash prefers for it (rendezvous hashing), within an even quota for each topic. The
names are those of the workers, which outlive a restart, so what a restarted one gets stays.

A topic goes to members that know its agent, and runtime, where there are any: in a rolling release
not all do. Each tells so when it joins, beside its name.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from app.adapters.kafka.topics import CommandTopic
from app.domain.model.ids import AgentName, RuntimeName

_Shares = dict[str, dict[str, list[int]]]
"""For each member its topics, each with its partitions."""
ReadTopic = Callable[[str], CommandTopic | None]


@dataclass
class Standing:
    """What a member tells the one that shares the partitions out."""

    name: str
    runs: Mapping[AgentName, Collection[RuntimeName]] | None = None
    """The agents it knows, each with its runtimes; None where it takes whatever there is."""
    asked: int = 0
    """Grows to have everything shared out anew: brokers do that for a member that tells news."""
    left: set[AgentName] = field(default_factory=set)
    """Agents that others know better."""

    def encode(self) -> bytes:
        told: dict[str, object] = {"name": self.name}
        if self.runs is not None:
            told["runs"] = {
                agent: sorted(runtimes)
                for agent, runtimes in sorted(self.runs.items())
                if agent not in self.left
            }
        if self.asked:
            told["asked"] = self.asked
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes, member: str) -> "Standing":
        """What a member told; one of an earlier version tells its name and nothing else."""
        text = (data or b"").decode("utf-8", "replace")
        try:
            told = json.loads(text)
            return cls(str(told["name"]), told.get("runs"))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(text or member)

    def knows(self, topic: CommandTopic) -> bool:
        if self.runs is None:
            return True
        runtimes = self.runs.get(topic.agent)
        return runtimes is not None and (topic.runtime is None or topic.runtime in runtimes)


def _no_command_topic(_: str) -> CommandTopic | None:
    return None


class SpreadAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka is untyped
    name = "crewline-spread"
    version = 0
    standing: ClassVar[Standing] = Standing("")
    """aiokafka asks the class, not an object: each worker has its own, see `assignor_of`."""
    read: ClassVar[ReadTopic] = staticmethod(_no_command_topic)

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), cls.standing.encode())

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        standings = {
            member: Standing.decode(told.user_data, member) for member, told in members.items()
        }
        readers: dict[str, list[str]] = {}
        for member, told in members.items():
            for topic in told.subscription:
                readers.setdefault(topic, []).append(member)
        shares: _Shares = {member: {} for member in members}
        for topic, those in sorted(readers.items()):
            command = cls.read(topic)
            knowing = [each for each in those if command is None or standings[each].knows(command)]
            named = {standings[each].name: each for each in knowing or those}
            for partition, name in share_out(topic, cluster.partitions_for_topic(topic), named):
                shares[named[name]].setdefault(topic, []).append(partition)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(share.items()), b"")
            for member, share in shares.items()
        }

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is remembered: the same members always get the same."""


def assignor_of(standing: Standing, read: ReadTopic = _no_command_topic) -> type[SpreadAssignor]:
    """The assignor of the worker of this standing, which no other has.

    `read` tells of which agent a topic is.
    """
    return type("Spread", (SpreadAssignor,), {"standing": standing, "read": staticmethod(read)})


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
