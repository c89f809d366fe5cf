"""How much of a machine there was for the benchmark: others may share it."""

import time
from pathlib import Path

_CPU = Path("/proc/stat")
_STEAL = 7
"""Which of the times of all cores went to other machines, see proc_stat(5)."""
_ADDITIONS = 5_000_000


class Host:
    def __init__(self) -> None:
        self._before = _times()

    def stolen(self) -> float:
        """The share of all cores' time that went to other machines since this was last asked.

        0 where the system does not say.
        """
        before, self._before = self._before, _times()
        spent = [now - then for now, then in zip(self._before, before, strict=True)]
        return spent[_STEAL] / sum(spent) if any(spent) else 0.0


def pace() -> float:
    """Seconds that one core takes for a loop of five million additions."""
    began, total = time.perf_counter(), 0
    for number in range(_ADDITIONS):
        total += number
    return time.perf_counter() - began


def _times() -> list[int]:
    if not _CPU.exists():
        return []
    return [int(each) for each in _CPU.read_text().splitlines()[0].split()[1:]]
