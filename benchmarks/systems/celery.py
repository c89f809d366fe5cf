"""Celery with Redis, every switch for safety on."""

import os
import sys
import time

from celery import Celery

from benchmarks.ledger import note
from benchmarks.load import body
from benchmarks.system import REDIS, Sleep
from benchmarks.systems.threads import Threaded, Wait

app = Celery("bench", broker=f"{os.environ[REDIS]}/0", backend=f"{os.environ[REDIS]}/1")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)
if timeout := os.environ.get("BENCH_VISIBILITY_TIMEOUT"):
    app.conf.broker_transport_options = {"visibility_timeout": int(timeout)}
    app.conf.visibility_timeout = int(timeout)


@app.task
def noop(message: dict[str, object]) -> dict[str, object]:
    return {"i": message["i"], "ok": True}


@app.task
def sleep(key: str, seconds: float) -> None:
    note("began", key)
    time.sleep(seconds)
    note("ended", key)


class CeleryOnRedis(Threaded):
    package = "celery"
    settings = (
        "acks_late, reject_on_worker_lost, prefetch multiplier 1, Redis results; prefork with a "
        "process per core, 16 for the crash, threads for 64 slots"
    )
    slots = os.cpu_count() or 2

    def worker(self, slots: int) -> list[str]:
        pool = "prefork" if slots <= 16 else "threads"
        command = [sys.executable, "-m", "celery", "-A", __name__, "worker"]
        return [*command, "--pool", pool, "--concurrency", str(slots), "--loglevel", "WARNING"]

    def send(self) -> Wait:
        result = noop.delay(body(1))
        return lambda seconds: result.get(timeout=seconds)

    def send_sleep(self, sleep_: Sleep) -> None:
        sleep.delay(*sleep_)


class CeleryTuned(CeleryOnRedis):
    settings = CeleryOnRedis.settings + "; visibility timeout 30 s, so no task may take longer"

    def environ(self) -> dict[str, str]:
        return super().environ() | {"BENCH_VISIBILITY_TIMEOUT": "30"}
