"""Which broker and database a run of the suite uses, and how a test gets its own piece of them.

Each comes by a ladder: what the environment names, else a container where Docker answers, else a
server of this machine. Nothing starts before a test asks for it.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient

from app.adapters.local.servers import kafka_distribution, postgres_programs, redis, tansu
from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.postgres import PostgresServer
from app.adapters.local.servers.redis import RedisServer
from app.adapters.local.servers.server import ServerUnavailable, free_port
from app.adapters.local.servers.tansu import TansuBroker

KAFKA_IMAGE = f"apache/kafka:{kafka_distribution.KAFKA_VERSION}"
POSTGRES_IMAGE = "postgres:17"
REDIS_IMAGE = "valkey/valkey:9"
COMPOSE = Path(__file__).parents[1] / "docker-compose.kafka.yml"


def nothing() -> None:
    """What there is to fetch for a server that is here."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A server the suite would use: what to call it, and how to have it."""

    name: str
    open: Callable[[], AbstractContextManager[str]]
    fetch: Callable[[], object] = nothing
    """Brings what it is made of, once, before any test's time runs."""


TEST_POSTGRES_URL = os.environ.pop("CREWLINE_TEST_POSTGRES_URL", None)
TEST_REDIS_URL = os.environ.pop("CREWLINE_TEST_REDIS_URL", None)
REQUIRE_KAFKA = os.environ.pop("CREWLINE_REQUIRE_KAFKA", "")
"""Words for the suite, taken away here because Crewline refuses variables it does not know."""


@cache
def kafka_choice() -> Choice | str:
    """The real Kafka of this run, else the reason there is none."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        return Choice(f"Apache Kafka at {named}", lambda: _given(named))
    if docker_answers():
        return Choice(f"a container of {KAFKA_IMAGE}", _kafka_container, lambda: _pull(KAFKA_IMAGE))
    try:
        kafka_distribution.java()
    except ServerUnavailable as error:
        return f"no KAFKA_BOOTSTRAP_SERVERS, no Docker, and {error.message}"
    if not kafka_distribution.is_fetched() and which("mvn") is None:
        return "no KAFKA_BOOTSTRAP_SERVERS, no Docker, and no `mvn` to fetch Kafka's jars"
    name = f"Apache Kafka {kafka_distribution.KAFKA_VERSION} on the JVM"
    return Choice(name, _kafka_on_the_jvm, kafka_distribution.fetch)


@cache
def postgres_choice() -> Choice | str:
    """The real PostgreSQL of this run, else the reason there is none."""
    named = TEST_POSTGRES_URL
    if named is not None:
        where = urlsplit(named)
        return Choice(f"PostgreSQL at {where.hostname}:{where.port or 5432}", lambda: _given(named))
    if docker_answers():
        name = f"a container of {POSTGRES_IMAGE}"
        return Choice(name, _postgres_container, lambda: _pull(POSTGRES_IMAGE))
    try:
        folder = postgres_programs.programs()
    except ServerUnavailable as error:
        return f"no CREWLINE_TEST_POSTGRES_URL, no Docker, and {error.message}"
    return Choice(f"PostgreSQL of {folder}", _postgres_of_this_machine)


@cache
def redis_choice() -> Choice | str:
    """The real Redis, or Valkey, of this run, else the reason there is none."""
    named = TEST_REDIS_URL
    if named is not None:
        where = urlsplit(named)
        return Choice(f"Redis at {where.hostname}:{where.port or 6379}", lambda: _given(named))
    if docker_answers():
        name = f"a container of {REDIS_IMAGE}"
        return Choice(name, _redis_container, lambda: _pull(REDIS_IMAGE))
    try:
        found = redis.program()
    except ServerUnavailable as error:
        return f"no CREWLINE_TEST_REDIS_URL, no Docker, and {error.message}"
    return Choice(f"{found}", _redis_of_this_machine)


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Take away what one test had on a broker that it shares."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        theirs = [topic for topic in await admin.list_topics() if topic.startswith(f"{prefix}.")]
        if theirs:
            await admin.delete_topics(theirs)
    finally:
        await admin.close()


def embedded_choice() -> Choice | str:
    """The embedded broker, else the reason there is none."""
    try:
        tansu.binary()
    except ServerUnavailable as error:
        return error.message
    return Choice("Tansu", _tansu)


def required() -> bool:
    """Whether a missing server fails the run instead of skipping tests: in CI, or when asked."""
    return any(
        word.lower() in {"1", "true", "yes"} for word in (os.environ.get("CI", ""), REQUIRE_KAFKA)
    )


def missing(what: str, reason: str) -> NoReturn:
    """Skip the test with the reason, or fail it where skipping would hide something."""
    message = f"{what} is not available: {reason}"
    if required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@cache
def docker_answers() -> bool:
    """Ask the Docker engine itself, within half a second; a client alone means nothing."""
    if find_spec("testcontainers") is None:
        return False
    question = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
    for open_engine in _docker_engines():
        try:
            with open_engine() as engine:
                engine.sendall(question)
                if b" 200 " in engine.recv(64):
                    return True
        except OSError:
            continue
    return False


def _docker_engines() -> Iterator[Callable[[], socket.socket]]:
    named = os.environ.get("DOCKER_HOST")
    if named and named.startswith("tcp://"):
        where = urlsplit(named)
        host, port = where.hostname or "127.0.0.1", where.port or 2375
        yield lambda: socket.create_connection((host, port), timeout=0.5)
        return
    home = Path.home()
    usual = ["/var/run/docker.sock", home / ".docker/run/docker.sock"]
    paths = [named.removeprefix("unix://")] if named else usual
    for path in paths:
        yield lambda path=path: _unix_connection(str(path))  # type: ignore[misc]


def _unix_connection(path: str) -> socket.socket:
    engine = socket.socket(socket.AF_UNIX)
    engine.settimeout(0.5)
    try:
        engine.connect(path)
    except OSError:
        engine.close()
        raise
    return engine


def _pull(image: str) -> None:
    from docker import from_env  # type: ignore[import-untyped]  # noqa: PLC0415  # slow to import

    engine = from_env()
    if not engine.images.list(image):
        engine.images.pull(image)


@contextmanager
def _given(address: str) -> Iterator[str]:
    yield address


@contextmanager
def _kafka_container() -> Iterator[str]:
    """The broker of the compose file, reached from here by a port that is free."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # slow to import
    from testcontainers.core.waiting_utils import wait_for_logs  # noqa: PLC0415

    settings = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["environment"]
    container, port = DockerContainer(KAFKA_IMAGE, hostname="kafka"), free_port()
    address = f"{container.get_docker_client().host()}:{port}"
    settings |= {
        "KAFKA_ADVERTISED_LISTENERS": f"INSIDE://kafka:19092,OUTSIDE://{address}",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    }
    for name, value in settings.items():
        container.with_env(name, str(value))
    with container.with_bind_ports(9092, port):
        wait_for_logs(container, "Kafka Server started", timeout=90)
        yield address


@contextmanager
def _kafka_on_the_jvm() -> Iterator[str]:
    with KraftBroker() as broker:
        yield broker.address


@contextmanager
def _tansu() -> Iterator[str]:
    with TansuBroker() as broker:
        yield broker.address


@contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    with PostgresContainer(POSTGRES_IMAGE, driver="asyncpg") as container:
        yield str(container.get_connection_url())


@contextmanager
def _postgres_of_this_machine() -> Iterator[str]:
    with PostgresServer() as server:
        yield server.url


@contextmanager
def _redis_container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # slow to import
    from testcontainers.core.waiting_utils import wait_for_logs  # noqa: PLC0415

    with DockerContainer(REDIS_IMAGE).with_exposed_ports(6379) as container:
        wait_for_logs(container, "Ready to accept connections", timeout=60)
        where = f"{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
        yield f"redis://{where}/0"


@contextmanager
def _redis_of_this_machine() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url
