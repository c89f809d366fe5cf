"""Kafka for chaos: one broker or three, each behind a proxy and killable by itself."""

import asyncio
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.server import LOOPBACK, ServerUnavailable, free_port, last_line
from tests.chaos.history import History, Life
from tests.chaos.proxy import Proxy

_CLUSTER_ID = "Y3Jld2xpbmUtY2hhb3MtMA"


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one of the brokers sits in its cluster."""

    number: int
    port: int
    inside: int
    controller: int
    proxy: int
    directory: str

    @classmethod
    def take(cls, number: int) -> "Seat":
        directory = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        return cls(number, free_port(), free_port(), free_port(), free_port(), directory)

    @property
    def voter(self) -> str:
        return f"{self.number}@{LOOPBACK}:{self.controller}:{self.directory}"


class ClusterBroker(KraftBroker):
    """One of the brokers: clients reach it through its proxy, the others directly."""

    def __init__(self, seat: Seat, seats: Sequence[Seat], folder: Path) -> None:
        self._seats = seats
        many = str(len(seats))
        super().__init__(
            seat.port,
            folder,
            controller_port=seat.controller,
            properties={
                "node.id": str(seat.number),
                "listeners": f"PLAINTEXT://{LOOPBACK}:{seat.port},INSIDE://{LOOPBACK}:{seat.inside},"
                f"CONTROLLER://{LOOPBACK}:{seat.controller}",
                "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{seat.proxy},"
                f"INSIDE://{LOOPBACK}:{seat.inside}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,"
                "CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name": "INSIDE",
                "controller.quorum.bootstrap.servers": ",".join(
                    f"{LOOPBACK}:{each.controller}" for each in seats
                ),
                "offsets.topic.replication.factor": many,
                "transaction.state.log.replication.factor": many,
                "transaction.state.log.min.isr": str(min(2, len(seats))),
                "default.replication.factor": many,
                "min.insync.replicas": str(min(2, len(seats))),
                # a leader that is gone is replaced before a client gives up
                "replica.lag.time.max.ms": "4000",
                "controller.quorum.election.timeout.ms": "1000",
                "controller.quorum.fetch.timeout.ms": "2000",
            },
        )

    def _format(self, java_command: list[str], settings: Path) -> None:
        voters = ",".join(each.voter for each in self._seats)
        storage = ["kafka.tools.StorageTool", "format", "--initial-controllers", voters]
        with self.log.open("ab") as out:
            code = subprocess.run(
                [*java_command, *storage, "-t", _CLUSTER_ID, "-c", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            ).returncode
        if code != 0:
            raise ServerUnavailable(f"Kafka's storage cannot be formatted: {last_line(self.log)}")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The brokers and the proxies before them, in the order of their numbers."""

    brokers: list[ClusterBroker]
    proxies: list[Proxy]
    history: History

    @property
    def address(self) -> str:
        return ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in self.proxies)

    async def kill(self, index: int) -> None:
        broker = self.brokers[index]
        pid = broker.pid or 0
        await asyncio.to_thread(broker.kill)
        self._note(index, pid, alive=False)

    async def start(self, index: int) -> None:
        broker = self.brokers[index]
        await asyncio.to_thread(broker.start)
        self._note(index, broker.pid or 0, alive=True)

    async def heal(self) -> None:
        """Every broker up, every proxy passing."""
        for proxy in self.proxies:
            proxy.heal()
        for index, broker in enumerate(self.brokers):
            if not broker.alive:
                await self.start(index)

    def _note(self, index: int, pid: int, *, alive: bool) -> None:
        self.history.add(
            Life(name=f"broker-{index + 1}", pid=pid, change="started" if alive else "ended")
        )


@asynccontextmanager
async def running_cluster(count: int, folder: Path, history: History) -> AsyncIterator[Cluster]:
    seats = [Seat.take(number) for number in range(1, count + 1)]
    brokers = [ClusterBroker(seat, seats, folder / f"broker-{seat.number}") for seat in seats]
    proxies = [Proxy(seat.proxy, seat.port) for seat in seats]
    cluster = Cluster(brokers, proxies, history)
    async with AsyncExitStack() as stack:
        for proxy in proxies:
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        # together: a voter alone has no quorum to become ready in
        for broker in brokers:
            stack.push_async_callback(asyncio.to_thread, broker.stop)
        await asyncio.gather(*(cluster.start(index) for index in range(count)))
        yield cluster
