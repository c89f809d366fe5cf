"""Take one guard away, and the checker says so: a check that cannot fail proves nothing.

The processes are real and so is Kafka; only what `tests/chaos/guards.py` takes away is missing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.checks import check
from tests.chaos.checks.owners import LOOKING_UP
from tests.chaos.findings import Promise
from tests.chaos.fleet import Fleet, Size
from tests.chaos.guards import WITHOUT
from tests.chaos.history import History
from tests.chaos.lag import lag
from tests.chaos.ledger import read_ledger
from tests.chaos.stage import HISTORY, Rates, Stage, staged
from tests.chaos.storing import sqlite_in
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone, pytest.mark.timeout(500)]

Happens = Callable[[Stage], Awaitable[None]]


async def crash_in_the_middle(stage: Stage) -> None:
    """The worker dies with tasks in hand."""
    await some_end(stage)
    await until(lambda: in_hand(stage) > 3, 30)
    await stage.fleet.kill("worker-1")
    stage.fleet.start("worker-1")
    await some_end(stage)


async def again(stage: Stage) -> None:
    """Old records are sent once more; a worker dies with results told and not committed."""
    stage.producers.copied = 0  # what is sent twice tells of the other promise
    await some_end(stage)
    await old_records_again(stage)
    await stage.fleet.kill("worker-1")
    for _ in range(8):  # a result that was told may be of a task that was sent twice
        if await an_ended_task_ran_again(stage):
            break
    stage.fleet.start("worker-1")


async def an_ended_task_ran_again(stage: Stage) -> bool:
    """The worker dies between a result and its commit, and returns once clients know the result."""
    stage.fleet.start("worker-1", failpoint="result-durable:8")
    assert await stage.fleet.gone("worker-1", within=60)
    await until_true(lambda: results_shown(stage), 30)
    await asyncio.sleep(LOOKING_UP + 1)  # a client sees it, and a worker has time to look it up
    sent = Counter([*stage.producers.accepted, *stage.submitters.accepted])
    ended = {task_id for task_id in stage.watcher.ended if sent[task_id] <= 1}
    before = len(read_ledger(stage.fleet.folder).runs)
    stage.fleet.start("worker-1")
    await some_end(stage)
    await stage.fleet.kill("worker-1")
    return any(run.task_id in ended for run in read_ledger(stage.fleet.folder).runs[before:])


async def old_records_again(stage: Stage) -> None:
    """Tasks that clients have seen end are sent once more."""
    ended = stage.watcher.ended
    stage.producers.sent = [sent for sent in stage.producers.sent if sent.task_id in ended]
    before = len(read_ledger(stage.fleet.folder).runs)
    await asyncio.sleep(LOOKING_UP)
    await stage.producers.replay(10)
    await until(lambda: len(read_ledger(stage.fleet.folder).runs) > before + 20, 60)


async def some_end(stage: Stage) -> None:
    """A client sees ten more tasks end."""
    before = len(stage.watcher.ended)
    await until(lambda: len(stage.watcher.ended) >= before + 10, 120)


async def results_shown(stage: Stage) -> bool:
    """Whether the views hold every result that was told."""
    return not any(".results/" in where for where in await lag(stage.fleet))


def in_hand(stage: Stage) -> int:
    runs = read_ledger(stage.fleet.folder).runs
    return sum(1 if run.what == "began" else -1 for run in runs)


# Two guards at a time, for processes take long to start. What one breaks shows in other records
# than what the other breaks: the log and the ledger here, the views there.
@pytest.mark.parametrize(
    ("without", "happens", "broken"),
    [
        (
            "commit-after-result,rows",
            crash_in_the_middle,
            {Promise.ENDS, Promise.COMMITTED, Promise.TOLD_ALIKE, Promise.REBUILT},
        ),
        (
            "dedupe,first-ending",
            again,
            {Promise.NOT_AGAIN, Promise.ONE_RUN, Promise.STAYS_ENDED},
        ),
    ],
)
async def test_the_checker_finds_what_happens_without(
    without: str,
    happens: Happens,
    broken: set[Promise],
    kafka: str,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    with History(tmp_path / HISTORY) as history:
        fleet = Fleet(
            tmp_path,
            kafka,
            topic_prefix,
            sqlite_in(tmp_path),
            history,
            Size(gateways=1, workers=1, projectors=1),
            {WITHOUT: without},
        )
        async with staged(fleet, history, seed=1, rates=Rates(http=3, kafka=4)) as stage:
            await stage.play(happens(stage))
            await stage.quiet(patience=60)
            found = check(await stage.evidence())
    assert {finding.promise for finding in found} >= broken
