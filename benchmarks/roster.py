"""Who is measured: where each is found, which server it needs, and whose environment it runs in."""

from typing import NamedTuple


class Entry(NamedTuple):
    title: str
    place: str
    server: str
    library: str | None = None
    """What is imported from the peers' environment; None for what comes with Crewline."""
    by_default: bool = True


_SYSTEMS = "benchmarks.systems."

ROSTER = {
    "crewline": Entry("Crewline", f"{_SYSTEMS}crewline:CrewlineOnKafka", "kafka"),
    "raw": Entry("raw aiokafka", f"{_SYSTEMS}raw:Raw", "kafka"),
    "faststream": Entry("FastStream", f"{_SYSTEMS}faststream:FastStreamOnKafka", "kafka"),
    "celery": Entry("Celery, Redis", f"{_SYSTEMS}celery:CeleryOnRedis", "redis", "celery"),
    "celery-tuned": Entry(
        "Celery, tuned", f"{_SYSTEMS}celery:CeleryTuned", "redis", "celery", by_default=False
    ),
    "dramatiq": Entry(
        "Dramatiq, Redis", f"{_SYSTEMS}dramatiq:DramatiqOnRedis", "redis", "dramatiq"
    ),
    "dramatiq-tuned": Entry(
        "Dramatiq, tuned",
        f"{_SYSTEMS}dramatiq:DramatiqTuned",
        "redis",
        "dramatiq",
        by_default=False,
    ),
    "taskiq": Entry("Taskiq, Redis", f"{_SYSTEMS}taskiq:TaskiqOnRedis", "redis", "taskiq_redis"),
    "taskiq-tuned": Entry(
        "Taskiq, tuned", f"{_SYSTEMS}taskiq:TaskiqTuned", "redis", "taskiq_redis", by_default=False
    ),
    "temporal": Entry("Temporal", f"{_SYSTEMS}temporal:Temporal", "temporal", "temporalio"),
}
