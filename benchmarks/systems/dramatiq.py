"""Dramatiq with Redis."""

import os
import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.ledger import note
from benchmarks.load import body
from benchmarks.system import REDIS, Sleep
from benchmarks.systems.threads import Threaded, Wait

TUNED = {"heartbeat_timeout": 10_000, "maintenance_chance": 100_000}

broker = RedisBroker(
    url=f"{os.environ[REDIS]}/0", **(TUNED if os.environ.get("BENCH_TUNED") else {})
)
broker.add_middleware(Results(backend=RedisBackend(url=f"{os.environ[REDIS]}/1")))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop(message: dict[str, object]) -> dict[str, object]:
    return {"i": message["i"], "ok": True}


@dramatiq.actor
def sleep(key: str, seconds: float) -> None:
    note("began", key)
    time.sleep(seconds)
    note("ended", key)


class DramatiqOnRedis(Threaded):
    package = "dramatiq"
    settings = "its defaults, Redis results, one process of 8 threads, or as many as slots"
    slots = 8

    def worker(self, slots: int) -> list[str]:
        command = [sys.executable, "-m", "dramatiq", __name__]
        return [*command, "--processes", "1", "--threads", str(slots)]

    def send(self) -> Wait:
        message = noop.send(body(1))
        return lambda seconds: message.get_result(block=True, timeout=int(seconds * 1000))

    def send_sleep(self, sleep_: Sleep) -> None:
        sleep.send(*sleep_)


class DramatiqTuned(DramatiqOnRedis):
    settings = DramatiqOnRedis.settings + "; heartbeat timeout 10 s, maintenance 10 %"

    def environ(self) -> dict[str, str]:
        return super().environ() | {"BENCH_TUNED": "1"}
