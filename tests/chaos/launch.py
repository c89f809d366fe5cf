"""`python -m tests.chaos.launch …`: `crewline …` with what the environment asks for put around it.

The one place where a process of the fleet learns that it is tested; nothing in `app` knows.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from app.entrypoints.cli import main
from tests.chaos import disks, failpoints, guards

_DIE_WITH_PARENT = 1


def end_with_owner() -> None:
    """Have the system kill this process when the run that started it is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    end_with_owner()
    if point := os.environ.pop(failpoints.FAILPOINT, None):
        failpoints.install(point)
    if flag := os.environ.pop(disks.FULL_DISK, None):
        disks.install(Path(flag))
    if names := os.environ.pop(guards.WITHOUT, None):
        guards.take_away(names)
    main()
