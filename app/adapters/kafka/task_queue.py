"""The command topics as a queue: the engine's records, decoded."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.adapters.kafka.claims import Claim, Limits
from app.adapters.kafka.codec import Codec, id_of_unnamed, origin_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine_group import EngineGroup
from app.adapters.kafka.precedence import precedence_of
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.fleet import Share
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.ports.task_queue import (
    Deleted,
    Delivery,
    Handle,
    Ownership,
    Retained,
    Shares,
    TaskQueue,
    Undecodable,
    WorkerSlept,
)

_VERSION = 14
"""Where a UUID says how it was made."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which command topics a worker reads."""

    agents: Collection[AgentName]
    """None named means every topic, those of unknown agents included: their tasks are refused."""
    runtimes: Collection[RuntimeName]
    others: Collection[AgentName] = ()
    """Agents this worker cannot run: left to workers that can."""
    runs: Mapping[AgentName, Collection[RuntimeName]] | None = None
    """Agents this worker knows, each with its runtimes: topics of all others are left to workers
    that know theirs, as long as there are any."""

    def pattern(self, topics: Topics) -> str:
        """A regular expression of the topics' names."""
        others = "|".join(map(re.escape, sorted(self.others)))
        but = rf"(?!(?:{others})(?:\.|$))" if others else ""
        agents = "|".join(map(re.escape, sorted(self.agents))) or "[^.]+"
        runtimes = "|".join(map(re.escape, sorted(self.runtimes)))
        places = "|".join(re.escape(place("")) for place in (topics.commands, topics.urgent))
        return rf"^(?:{places}){but}(?:{agents})(?:\.(?:{runtimes}))?$"


class KafkaTaskQueue(TaskQueue, Shares, Retained):
    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        subscription: Subscription,
        *,
        group: str,
        worker_id: WorkerId,
        limits: Limits,
        ownership: Ownership | None = None,
    ) -> None:
        """Without an `ownership`, what runs is stopped when it is lost."""
        self._codec = Codec(topics)
        self._group = EngineGroup(
            connection,
            group=group,
            worker_id=worker_id,
            pattern=subscription.pattern(topics),
            limits=limits,
            precedence=precedence_of(topics, self._codec),
            ownership=ownership,
            runs=subscription.runs,
            read=topics.read_command_topic,
        )

    async def run(self, handle: Handle) -> None:
        async def deliver(claim: Claim) -> None:
            content = self._codec.command(claim.record)
            if content is None:
                return  # a tombstone: it asks for nothing
            earlier = content.earlier
            delivery = Delivery(
                content=content,
                origin=origin_of(claim.record),
                attempt=earlier.attempts + claim.tries.starts,
                redelivered=claim.redelivered,
                taken_over_at=claim.partition.taken_over_at,
                predates_owner=claim.predates_owner,
                unnamed=_is_unnamed(content, claim),
                lost=claim.lost,
                failures=earlier.failures + claim.tries.failures,
                interrupted=claim.tries.interrupted,
                broke_by=claim.broke_by,
                wait=claim.wait,
            )
            try:
                await handle(delivery)
            except asyncio.CancelledError:
                if delivery.blamed:
                    raise WorkerSlept from None
                raise

        await self._group.run(deliver)

    async def stop(self, grace: float) -> None:
        await self._group.stop(grace)

    async def shares(self) -> Sequence[Share]:
        return await self._group.shares()

    async def deleted(self) -> Sequence[Deleted]:
        return await self._group.deleted()

    def leave_to_others(self, agent: AgentName) -> None:
        self._group.leave_to_others(agent)

    def healthy(self) -> bool:
        return self._group.healthy()


def _is_unnamed(content: SubmitTask | Undecodable, claim: Claim) -> bool:
    if isinstance(content, Undecodable) or content.id[_VERSION] != "5":
        return False
    return content.id == id_of_unnamed(claim.record)
