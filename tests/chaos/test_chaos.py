"""Forty seconds of crashes, cuts, zombies, poison and a full disk: nothing is lost."""

import sys
from pathlib import Path

import pytest

from app.adapters.local.servers import kafka_distribution
from app.adapters.local.servers.server import ServerUnavailable
from tests import servers
from tests.chaos.fleet import Size
from tests.chaos.run import Plan, run

SEED = 16
"""Draws each of them, redrives when there is something to redrive, and the slow ones last."""
FAULTS = (
    "crash-worker",
    "crash-broker",
    "zombie-worker",
    "cut-kafka",
    "failpoint",
    "poison",
    "disk-full",
    "replay",
    "redrive",
)


@pytest.mark.kafka
@pytest.mark.alone
@pytest.mark.timeout(500)
async def test_nothing_is_lost_and_nothing_takes_effect_twice(tmp_path: Path) -> None:
    try:
        kafka_distribution.java()
    except ServerUnavailable as error:
        servers.missing("A Kafka whose broker can be killed", error.message)
    size = Size(gateways=2, workers=2, projectors=1)
    plan = Plan(seed=SEED, seconds=40, size=size, only=FAULTS)
    report = await run(plan, tmp_path, lambda line: print(line, file=sys.stderr))
    print("\n".join(report.lines()), file=sys.stderr)
    told = "\n\n".join(finding.told(report.evidence) for finding in report.findings)
    assert not report.findings, told
    assert len(report.evidence.tasks) > 50
