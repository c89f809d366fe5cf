"""Half a minute of crashes, cuts, zombies and poison, drawn from a seed: nothing is lost."""

import sys
from pathlib import Path

import pytest

from app.adapters.local.servers import kafka_distribution
from app.adapters.local.servers.server import ServerUnavailable
from tests import servers
from tests.chaos.findings import Promise
from tests.chaos.fleet import Size
from tests.chaos.run import Plan, run

SEED = 7
FAULTS = ("crash-worker", "crash-broker", "zombie-worker", "cut-kafka", "failpoint", "poison")


@pytest.mark.kafka
@pytest.mark.timeout(500)
async def test_nothing_is_lost_and_nothing_takes_effect_twice(tmp_path: Path) -> None:
    try:
        kafka_distribution.java()
    except ServerUnavailable as error:
        servers.missing("A Kafka whose broker can be killed", error.message)
    size = Size(gateways=2, workers=2, projectors=1)
    plan = Plan(seed=SEED, seconds=35, size=size, only=FAULTS)
    report = await run(plan, tmp_path, lambda line: print(line, file=sys.stderr))
    print("\n".join(report.lines()), file=sys.stderr)
    # A copy that comes to a worker which has taken its partition over meanwhile runs again, with
    # the ending and the effects it had: a copy that is late by chance must not fail this test.
    findings = [each for each in report.findings if each.promise is not Promise.ONE_RUN]
    assert not findings, "\n\n".join(each.told(report.evidence) for each in findings)
    assert len(report.evidence.tasks) > 50
