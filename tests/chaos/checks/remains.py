"""When all is over nothing is left: no lag, no process, no heap of files or threads."""

import signal
from collections.abc import Iterator

from tests.chaos.evidence import Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Gauge, Life, Quiet
from tests.chaos.timeline import Timeline

_YOUNG = 30.0
"""Seconds in which a process on a busy machine may still be loading."""
_MORE_FILES = 64
_MORE_THREADS = 32
"""How much more a process may hold at the end than when it had settled."""


def check_remains(evidence: Evidence) -> Iterator[Finding]:
    for quiet in evidence.entries(Quiet):
        for where, count in quiet.lag.items():
            yield Finding(Promise.CLEAN, f"{where} is {count} behind after {quiet.waited:.0f} s")
        for pid in quiet.left:
            yield Finding(Promise.CLEAN, f"process {pid} outlived the fleet")
    yield from _crashes(evidence)
    yield from _growth(evidence)


def _crashes(evidence: Evidence) -> Iterator[Finding]:
    """A process may end where its servers are away for good; never otherwise.

    A store that is full is not away: it is waited for.
    """
    away = [one for each in Timeline.of(evidence).away.values() for one in each]
    started = {life.pid: life.at for life in evidence.entries(Life) if life.change == "started"}
    for life in evidence.entries(Life):
        if any(begins <= life.at <= ends for begins, ends in away):
            continue
        if life.because == "by itself":
            yield Finding(Promise.CLEAN, f"{life.name} ended by itself with {life.code}")
        elif life.because == "asked" and life.code != 0:
            young = life.at - started.get(life.pid, 0) < _YOUNG
            if young and life.code == -signal.SIGTERM:
                continue  # asked before it could hear
            yield Finding(Promise.CLEAN, f"{life.name} was asked to stop and ended {life.code}")


def _growth(evidence: Evidence) -> Iterator[Finding]:
    first: dict[int, Gauge] = {}
    last: dict[int, Gauge] = {}
    for gauge in evidence.entries(Gauge):
        first.setdefault(gauge.pid, gauge)
        last[gauge.pid] = gauge
    for pid, end in last.items():
        begin = first[pid]
        if end.files - begin.files > _MORE_FILES:
            says = f"{end.name} holds {end.files} files, {begin.files} at first"
            yield Finding(Promise.CLEAN, says)
        if end.threads - begin.threads > _MORE_THREADS:
            says = f"{end.name} has {end.threads} threads, {begin.threads} at first"
            yield Finding(Promise.CLEAN, says)
