"""Servers on this machine start, keep what they should, and leave nothing behind."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.adapters.local.servers import kafka_distribution, postgres_programs, tansu
from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.postgres import PostgresServer
from app.adapters.local.servers.server import LocalServer, ServerUnavailable
from app.adapters.local.servers.tansu import TansuBroker
from tests.network_guard import NetworkForbidden
from tests.servers import missing

SERVERS = [KraftBroker, TansuBroker, PostgresServer]


@pytest.fixture(autouse=True)
def _can_start_here() -> None:
    """These tests are about the servers of this machine, wherever other tests have theirs from."""
    try:
        kafka_distribution.java()
        kafka_distribution.fetch()
        tansu.binary()
        postgres_programs.programs()
    except ServerUnavailable as error:
        missing("A server of this machine", error.message)


async def topics(address: str, make: str | None = None) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        if make is not None:
            await admin.create_topics([NewTopic(make, 1, 1)])
        return list(await admin.list_topics())
    finally:
        await admin.close()


def test_the_embedded_brokers_program_is_run_from_its_package_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with TansuBroker() as server:
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}/exe").resolve() == tansu.binary().resolve()
    assert not (tmp_path / ".calfkit").exists()


def test_a_program_that_may_not_be_executed_is_copied_for_the_broker_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "tansu"
    shutil.copyfile(tansu.binary(), locked)
    locked.chmod(0o600)
    monkeypatch.setattr(tansu, "binary", lambda: locked)
    with TansuBroker() as server:
        assert server.alive
    assert locked.stat().st_mode & 0o111 == 0


@pytest.mark.parametrize("broker", [KraftBroker, TansuBroker])
async def test_a_broker_takes_records_and_goes_with_its_data(broker: type[LocalServer]) -> None:
    async with broker() as server:
        await topics(server.address, make="facts")
        producer = AIOKafkaProducer(bootstrap_servers=server.address)
        await producer.start()
        await producer.send_and_wait("facts", b"one")
        await producer.stop()
        data = server.log.parent
    assert not data.exists()
    assert not server.alive


@pytest.mark.parametrize("server", SERVERS)
def test_a_taken_port_is_one_clear_line(server: type[LocalServer]) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=f"cannot have port {port}"):
            server(port=port).start()


async def test_kafka_keeps_its_data_through_a_crash_and_a_move_of_ports(tmp_path: Path) -> None:
    async with KraftBroker(folder=tmp_path / "kafka") as broker:
        await topics(broker.address, make="kept")
        broker.kill()
        assert not broker.alive
        await asyncio.to_thread(broker.start)
        assert "kept" in await topics(broker.address)
    async with KraftBroker(folder=tmp_path / "kafka") as broker:
        assert "kept" in await topics(broker.address)


def test_a_broker_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerUnavailable, match=r"num\.partitions"):
        KraftBroker(properties={"num.partitions": "none"}).start()


def test_a_program_that_cannot_run_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tansu, "binary", lambda: Path("/nowhere/tansu"))
    with pytest.raises(ServerUnavailable, match=r"could not be launched: .*/nowhere/tansu"):
        TansuBroker().start()


@pytest.mark.parametrize("server", SERVERS)
def test_nothing_is_left_when_the_owner_is_killed(server: type[LocalServer]) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(room=server.__module__, name=server.__name__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split(maxsplit=1)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + 20
    while runs(int(pid)) or Path(folder.strip()).exists():
        assert time.monotonic() < deadline, f"{pid} or {folder} is still there"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


OWNER = """
import time
from {room} import {name}
with {name}() as server:
    print(server.pid, server.log.parent, flush=True)
    time.sleep(60)
"""


async def test_a_start_that_is_given_up_ends_the_server(tmp_path: Path) -> None:
    broker = KraftBroker(folder=tmp_path / "kafka")
    entering = asyncio.create_task(broker.__aenter__())
    while (pid := broker.pid) is None:  # noqa: ASYNC110  # the thread that starts it has no event
        await asyncio.sleep(0.01)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    async with asyncio.timeout(15):
        while runs(pid):  # noqa: ASYNC110  # nor has another process's end
            await asyncio.sleep(0.05)


def test_an_integration_test_reaches_this_machine_only() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(NetworkForbidden):
        socket.create_connection(("models.invalid", 443))
