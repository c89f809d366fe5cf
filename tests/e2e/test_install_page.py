"""The separate processes of docs/install.md, started as the page says, word for word."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.adapters.local.servers.server import free_port
from tests.e2e.fleet import ROOT
from tests.waiting import until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

AGENT = """\
name: greeter
description: Greets whoever is named.
runtimes: {rules: {template: "Hello {{ text }}!"}}
"""


def typed(commands: str, folder: Path) -> "subprocess.Popen[bytes]":
    """A shell in this folder that is given these commands, and waits for what they have started."""
    foreign = ("CREWLINE_", "OTEL_", "KAFKA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["bash", "-c", f"{commands}\nwait"],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


async def test_separate_processes_run_as_the_page_says(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "install.md").read_text().partition("# Separate processes")[2]
    block = re.search(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    kafka, port = free_port(), free_port()
    shown = block[1]
    for written, meant in {
        ".venv/bin/": f"{Path(sys.executable).parent}/",
        "/tmp/crewline": str(tmp_path / "data"),
        "127.0.0.1:9092": f"127.0.0.1:{kafka}",
        "crewline broker": f"crewline broker --port {kafka}",
        "crewline gateway": f"crewline gateway --port {port}",
    }.items():
        assert written in shown, written
        shown = shown.replace(written, meant)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "greeter.yaml").write_text(AGENT)
    shell = typed(shown, tmp_path)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:

            async def greeted() -> bool:
                assert shell.poll() is None, (tmp_path / "log").read_text()
                try:
                    answer = await http.post(
                        "/v1/tasks",
                        json={"agent": "greeter", "input": "Ann"},
                        headers={"Prefer": "wait=30"},
                    )
                except httpx.TransportError:
                    return False
                return (
                    answer.status_code == 200 and answer.json()["result"]["output"] == "Hello Ann!"
                )

            await until_true(greeted, within=120)

        async def examined() -> bool:
            return "agents: business-analyst" in (tmp_path / "log").read_text()

        await until_true(examined, within=60)
        assert "FAIL" not in (tmp_path / "log").read_text()
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait(20)
