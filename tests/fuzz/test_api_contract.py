"""The gateway keeps what its OpenAPI document promises, for requests that Schemathesis thinks up.

The suite asks for a short while with one seed; `make fuzz` asks longer, with another each time.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.use_cases import read_status
from app.entrypoints.gateway.services import GatewayLimits
from tests.builders import completed, failed, started, submitted
from tests.gateway_under_test import Gateway

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
"""How long to think up requests; without it as many as the suite has time for."""
SEED = os.environ.get("FUZZ_SEED", "1")


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(read_status, "_UNDATED_PATIENCE", 0.01)  # most ids are nobody's
    gateway = Gateway(
        limits=GatewayLimits(max_wait_seconds=0.1, heartbeat_seconds=0.2),
        adapt=lambda services: replace(services, allowed_hosts=("localhost",)),
    )
    async with gateway.listening() as url:
        await gateway.happen(
            submitted("running"),
            started("running"),
            submitted("done"),
            started("done"),
            completed("done"),
            submitted("broken"),
            started("broken"),
            failed("broken"),
        )
        yield url


@pytest.mark.timeout(SECONDS + 600)
async def test_the_gateway_keeps_what_its_document_promises(url: str, tmp_path: Path) -> None:
    many = (
        ["--max-time", str(SECONDS)]
        if SECONDS
        else [
            "--max-examples=3",
            "--phases=examples,coverage,fuzzing",
        ]
    )
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={CONFIG}",
        "run",
        f"{url}/openapi.json",
        "--checks=all",
        "--continue-on-failure",
        "--no-color",
        "--warnings=off",
        f"--seed={SEED}",
        *many,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-20_000:]
