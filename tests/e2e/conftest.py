"""Fleets of real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.local.servers.server import free_port
from tests.e2e.fleet import Fleet


@pytest.fixture
def fleet(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Fleet]:
    """Nothing runs yet, but the topics are there."""
    fleet = Fleet(
        tmp_path, kafka, topic_prefix, free_port(), f"sqlite+aiosqlite:///{tmp_path / 'views.db'}"
    )
    made = fleet.run("topics", "apply")
    assert made.returncode == 0, made.stderr
    yield fleet
    fleet.close()
