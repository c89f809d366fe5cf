"""The peer: a FastStream subscriber that acknowledges after its work, as one must."""

import asyncio
import sys

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

_, kafka, requests, replies = sys.argv
broker = KafkaBroker(kafka, logger=None, acks="all")


@broker.publisher(replies)
@broker.subscriber(
    requests,
    group_id="faststream",
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.ACK,
    max_workers=6,
)
async def answer(body: dict[str, object]) -> dict[str, object]:
    return {"i": body["i"], "ok": True}


asyncio.run(FastStream(broker, logger=None).run())
