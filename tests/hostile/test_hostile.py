"""A short hostile load: every attack is answered as it should be, and nothing else stops."""

import subprocess
import sys

import pytest

from tests.e2e.fleet import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.alone, pytest.mark.timeout(180)]


def test_a_short_hostile_load_stops_nobody() -> None:
    """How quick answers are is for `make hostile` on a quiet machine; here they only must come."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", "--minutes", "0.3", "--slowest", "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 findings" in done.stdout
