"""FastStream: a subscriber that acknowledges after its work, as one must."""

import asyncio
import sys
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from benchmarks.ledger import note
from benchmarks.systems.kafka_loop import KafkaLoop


class FastStreamOnKafka(KafkaLoop):
    name = "faststream"
    package = "faststream"
    settings = (
        "AckPolicy.ACK, acks=all, earliest, 16 partitions, max_workers=slots (at most one message "
        "at a time per partition)"
    )
    slots = 16


async def work(kafka: str, requests: str, replies: str, slots: str) -> None:
    broker = KafkaBroker(kafka, logger=None, acks="all")

    @broker.publisher(replies)
    @broker.subscriber(
        requests,
        group_id=requests,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        max_workers=int(slots),
    )
    async def answer(message: dict[str, Any]) -> dict[str, object]:
        if "key" in message:
            note("began", message["key"])
            await asyncio.sleep(message["seconds"])
            note("ended", message["key"])
        return {"i": message["i"], "ok": True}

    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:5]))
