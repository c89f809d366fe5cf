"""The raw loop: aiokafka and nothing else; commits every half second. Not a queue, a bound."""

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main(kafka: str, requests: str, replies: str) -> None:
    consumer = AIOKafkaConsumer(
        requests,
        bootstrap_servers=kafka,
        group_id="raw",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    await consumer.start()
    last, waiting = time.monotonic(), []
    while True:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                body = {"i": json.loads(record.value)["i"], "ok": True}
                waiting.append(await producer.send(replies, json.dumps(body).encode()))
        if waiting and time.monotonic() - last > 0.5:
            await asyncio.gather(*waiting)
            await consumer.commit()
            last, waiting = time.monotonic(), []


asyncio.run(main(*sys.argv[1:]))
