"""Whom to blame when a worker dies: what it ran alone, and nothing that ran beside something else.

A record that was interrupted twice is suspected of killing its worker. Suspects run one at a time,
the others wait without a slot; a further interruption only counts where no other record ran beside
the suspect.
"""

from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from app.adapters.kafka.claims import Claim
from app.adapters.kafka.commits import Commits, Partition

_SUSPICIOUS = 2


def suspected(claim: Claim) -> bool:
    """Whether it was interrupted so often that it may be what kills workers."""
    return claim.partition.offsets.tries(claim.record.offset).interrupted >= _SUSPICIOUS


class Suspects:
    def __init__(self, partitions: Mapping[TopicPartition, Partition], commits: Commits) -> None:
        self._partitions = partitions
        self._commits = commits
        self._waiting: list[Claim] = []
        self.running: Claim | None = None

    def may_run(self, claim: Claim) -> bool:
        """Whether it may begin now, to be followed by `over`; else that will name it."""
        if not suspected(claim):
            return True
        if self.running is not None:
            self._waiting.append(claim)
            return False
        self.running = claim
        return True

    def over(self, claim: Claim) -> Sequence[Claim]:
        """Those to ask for again, where this was the one that ran.

        All of them: the next one may be lost before its turn.
        """
        if self.running is not claim:
            return ()
        self.running = None
        waiting, self._waiting = self._waiting, []
        return [each for each in waiting if not each.lost.is_set()]

    async def excuse(self, suspect: Claim) -> None:
        """Let a suspect not be blamed, where it is no longer all that runs.

        Returns once that is durable: whatever is started then cannot get it blamed.
        """
        if sum(each.offsets.running for each in self._partitions.values()) == 1:
            return
        if suspect.partition.offsets.excuse(suspect.record.offset):
            self._commits.note(suspect.partition)
        await self._commits.covering(suspect.partition)
