"""`python -m tests.chaos.launch …`: `crewline …` with what the environment asks for put around it.

The one place where a process of the fleet learns that it is tested; nothing in `app` knows.
"""

import os

from app.entrypoints.cli import main
from tests.chaos import failpoints, guards

if __name__ == "__main__":
    if point := os.environ.pop(failpoints.FAILPOINT, None):
        failpoints.install(point)
    if names := os.environ.pop(guards.WITHOUT, None):
        guards.take_away(names)
    main()
