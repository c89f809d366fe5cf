"""The raw loop: aiokafka and nothing else; commits every half second. Not a queue, a bound."""

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.systems.kafka_loop import KafkaLoop


class Raw(KafkaLoop):
    name = "raw"
    package = "aiokafka"
    settings = "acks=all, no linger, commit every 0.5 s, 16 partitions; no slots and no retries"
    slots = 1
    runs_sleeps = False


async def work(kafka: str, requests: str, replies: str) -> None:
    consumer = AIOKafkaConsumer(
        requests,
        bootstrap_servers=kafka,
        group_id=requests,
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
                answer = {"i": json.loads(record.value)["i"], "ok": True}
                waiting.append(await producer.send(replies, json.dumps(answer).encode()))
        if waiting and time.monotonic() - last > 0.5:
            await asyncio.gather(*waiting)
            await consumer.commit()
            last, waiting = time.monotonic(), []


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:4]))
