"""`make chaos`: break everything for a while, then prove from the records that nothing was lost."""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from pathlib import Path

from app.adapters.local.servers.postgres_programs import programs
from app.adapters.local.servers.server import ServerUnavailable
from tests.chaos.checks import check
from tests.chaos.evidence import Evidence
from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, Report, run

_SHOWN = 12
"""Findings whose whole story is printed."""


def main() -> int:
    options = _options()
    if options.check:
        evidence = Evidence.model_validate_json(Path(options.check).read_text())
        return _judge(Report(evidence, check(evidence)))
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    plan = Plan(
        seed=seed,
        seconds=options.minutes * 60,
        brokers=options.brokers,
        store=options.store or _store(),
        only=tuple(options.only.split(",")) if options.only else (),
    )
    for name in ("aiokafka", "asyncio"):  # they tell of every broken connection
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # PostgreSQL may run as another user: the way to it must be open to all
    folder = Path(tempfile.mkdtemp(prefix="crewline-chaos-"))
    folder.chmod(0o755)
    print(
        f"seed {seed}: {plan.seconds:.0f} s, {plan.brokers} broker(s), views in {plan.store}; "
        f"everything is kept in {folder}",
        flush=True,
    )
    report = asyncio.run(run(plan, folder, _say))
    code = _judge(report)
    if code:
        again = f"make chaos SEED={seed} MINUTES={options.minutes:g} BROKERS={plan.brokers}"
        only = f' ARGS="--only {options.only}"' if options.only else ""
        print(f"\nrun it again:      {again} STORE={plan.store}{only}")
        print(f"judge it again:    python -m tests.chaos --check {folder / 'evidence.json'}")
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres"))
    parser.add_argument("--only", help=f"faults, separated by commas: {', '.join(FAULTS)}")
    parser.add_argument("--check", metavar="FILE", help="judge the evidence of a former run")
    return parser.parse_args()


def _store() -> str:
    try:
        programs()
    except ServerUnavailable:
        return "sqlite"
    return "postgres"


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def _judge(report: Report) -> int:
    print()
    print("\n".join(report.lines()))
    for finding in report.findings[:_SHOWN]:
        print(f"\n{finding.told(report.evidence)}")
    for finding in report.findings[_SHOWN:]:
        print(finding)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
