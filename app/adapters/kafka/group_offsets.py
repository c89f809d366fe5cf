"""What a consumer group has committed, with the metadata that a consumer itself does not show."""

from collections.abc import Collection, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError

from app.adapters.kafka.offsets import Snapshot


class GroupOffsets:
    """Reads one group's commits through a started admin client."""

    def __init__(self, admin: AIOKafkaAdminClient, group: str) -> None:
        self._admin = admin
        self._group = group

    async def __call__(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Snapshot]:
        """The last commit of each partition that has one; raises aiokafka's errors."""
        committed = await self._admin.list_consumer_group_offsets(
            self._group, partitions=list(partitions)
        )
        if set(partitions) - committed.keys():
            # aiokafka overlooks an error of the whole answer: it would read as "nothing committed"
            raise CoordinatorNotAvailableError(f"the offsets of {self._group} were not told")
        return {
            name: Snapshot.decode(commit.offset, commit.metadata)
            for name, commit in committed.items()
            if commit.offset >= 0
        }
