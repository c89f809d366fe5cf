"""Apache Kafka itself, broker and controller in one JVM, without Docker."""

import socket
import struct
import subprocess
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.kafka_distribution import fetch, java
from app.adapters.local.servers.server import (
    LOOPBACK,
    LocalServer,
    ServerUnavailable,
    free_port,
    last_line,
)

_CLUSTER_ID = "Y3Jld2xpbmUtZGV2LTAwMA"  # 16 bytes in base64: `crewline-dev-000`

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={data}
# One broker: every internal topic has one replica.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
default.replication.factor=1
min.insync.replicas=1
num.partitions=6
auto.create.topics.enable=false
# Groups form at once, and tests may use short sessions.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.max.session.timeout.ms=1800000
# After a crash the broker may come back as soon as its old registration ends, not after 9 seconds.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# Room for what the engine remembers beside its offsets.
offset.metadata.max.bytes=8192
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=67108864
log.retention.hours=24
"""

# Compiled once and quickly: on a small machine the optimizing compiler takes more than it gives.
_QUICK = "-XX:TieredStopAtLevel=1"
_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=2", _QUICK)


class KraftBroker(LocalServer):
    """A single broker. With a `folder` its topics and records survive; formatting happens once."""

    title: ClassVar[str] = "Apache Kafka"

    def __init__(
        self,
        port: int | None = None,
        folder: Path | None = None,
        *,
        controller_port: int | None = None,
        distribution: Path | None = None,
        properties: dict[str, str] | None = None,
    ) -> None:
        super().__init__(port, folder)
        self._controller_port = controller_port or free_port()
        self._distribution = distribution
        self._properties = properties or {}

    def _prepare(self) -> list[str]:
        program = java()
        distribution = fetch(self._distribution)
        settings = self._home / "server.properties"
        settings.write_text(self._settings())
        common = [
            f"-Dlog4j2.configurationFile={distribution / 'log4j2.properties'}",
            f"-Dkafka.logs.dir={self._home}",
            "-cp",
            f"{distribution / 'libs'}/*",
        ]
        if not (self._home / "data" / "meta.properties").exists():
            self._format([program, _QUICK, *common], settings)
        return [program, *_JVM, *common, "kafka.Kafka", str(settings)]

    def _settings(self) -> str:
        base = _PROPERTIES.format(
            host=LOOPBACK,
            port=self.port,
            controller_port=self._controller_port,
            data=self._home / "data",
        )
        return base + "".join(f"{name}={value}\n" for name, value in self._properties.items())

    def _format(self, java_command: list[str], settings: Path) -> None:
        format_ = ["kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"]
        with self.log.open("ab") as out:
            code = subprocess.run(  # noqa: S603
                [*java_command, *format_, "-t", _CLUSTER_ID, "-c", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            ).returncode
        if code != 0:
            raise ServerUnavailable(f"Kafka's storage cannot be formatted: {last_line(self.log)}")

    def _answers(self) -> bool:
        """Ask which requests the broker takes: the one question that needs no client library."""
        question = struct.pack(">hhih8s", 18, 0, 1, 8, b"crewline")
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(struct.pack(">i", len(question)) + question)
                return len(connection.recv(4)) == 4
        except OSError:
            return False
