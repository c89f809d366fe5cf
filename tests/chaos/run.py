"""One run: a plan with a seed, played from the first server to the last finding."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.checks import check
from tests.chaos.cluster import running_cluster
from tests.chaos.disks import Disk
from tests.chaos.evidence import Evidence
from tests.chaos.field import Field, Say
from tests.chaos.findings import Finding
from tests.chaos.fleet import Fleet, Size
from tests.chaos.history import Fault, History, Redrive, Submission
from tests.chaos.nemesis import torment
from tests.chaos.stage import HISTORY, Rates, staged
from tests.chaos.storing import running_postgres, sqlite_file, sqlite_in

_SETTLING = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run consists of; the same plan draws the same faults and requests again."""

    seed: int
    seconds: float = 60
    brokers: int = 1
    store: str = "sqlite"
    size: Size = field(default_factory=Size)
    rates: Rates = field(default_factory=Rates)
    only: tuple[str, ...] = ()
    """The kinds of faults to draw from; none named means all."""
    patience: float = 120


@dataclass(frozen=True, slots=True)
class Report:
    evidence: Evidence
    findings: list[Finding]

    def lines(self) -> list[str]:
        """The figures of a run, for people."""
        evidence = self.evidence
        endings = [evidence.ending(task_id) for task_id in evidence.tasks]
        ended = Counter(each.ending or "" for each in endings if each)
        submitted = Counter(str(each.outcome) for each in evidence.entries(Submission))
        began = sum(run.what == "began" for run in evidence.ledger.runs)
        redriven = Counter(str(each.outcome) for each in evidence.entries(Redrive))
        faults = Counter(fault.kind for fault in evidence.entries(Fault) if fault.phase == "begins")
        return [
            f"submissions  {_listed(submitted)}",
            f"tasks        {len(evidence.tasks)}: {_listed(ended)}",
            f"messages     {len(evidence.commands)} commands, {len(evidence.told)} results, "
            f"{len(evidence.letters)} dead letters",
            f"runs         {began}, {began - len(evidence.runs_of)} of them repeats; "
            f"{len(evidence.ledger.effects)} effects",
            f"redrives     {_listed(redriven)}; {len(evidence.settled)} letters settled",
            f"faults       {sum(faults.values())}: {_listed(faults)}",
            f"findings     {len(self.findings)}",
        ]


def _listed(counts: Mapping[str, int]) -> str:
    counts = Counter(counts)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


async def run(plan: Plan, folder: Path, say: Say) -> Report:
    """Play the plan; raise where the servers or the fleet cannot be started at all."""
    chance = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        history = stack.enter_context(History(folder / HISTORY))
        cluster = await stack.enter_async_context(running_cluster(plan.brokers, folder, history))
        store = None
        if plan.store == "postgres":
            store = await stack.enter_async_context(running_postgres(history))
        fleet = Fleet(
            folder,
            cluster.address,
            f"chaos-{secrets.token_hex(3)}",
            store.url if store else sqlite_in(folder),
            history,
            plan.size,
        )
        stage = await stack.enter_async_context(
            staged(fleet, history, chance.getrandbits(32), plan.rates)
        )
        field = Field(
            fleet,
            cluster,
            store,
            Disk(fleet.full_disk, store.server if store else sqlite_file(folder)),
            stage.producers,
            stage.redrivers,
            history,
            random.Random(chance.random()),
            say,
        )

        async def faults() -> None:
            await asyncio.sleep(_SETTLING)
            fleet.gauge()
            await torment(field, plan.seconds - _SETTLING, plan.only)

        await stage.play(faults())
        say(f"{time.time() - field.began:6.1f} s  quiet: waiting until everything is done")
        await stage.quiet(plan.patience)
        evidence = await stage.evidence()
    return Report(evidence, check(evidence))
