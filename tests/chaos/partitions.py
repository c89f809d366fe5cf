"""Which partitions an installation has."""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


async def partitions_of(admin: AIOKafkaAdminClient, prefix: str) -> list[TopicPartition]:
    """All of them; raise `TimeoutError` while a broker that has just started knows none."""
    found = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics()
        if topic["topic"].startswith(f"{prefix}.")
        for partition in topic["partitions"]
    ]
    if not any(name.topic == f"{prefix}.results" for name in found):
        raise TimeoutError("the broker does not know its topics yet")
    return sorted(found)


def are_commands(name: TopicPartition) -> bool:
    return ".commands." in name.topic
