"""The servers a test may ask for by name, and the guard that keeps every test on this machine."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.domain.model.errors import Unavailable
from tests import network_guard, servers

UNIT = Path(__file__).parent / "unit"
MARKED = {
    "kafka": "kafka",
    "postgres_url": "postgres",
    "postgres_database": "postgres",
    "redis_url": "redis",
}
"""Fixtures whose users carry a marker, so that `-m 'not kafka'` finds them all."""
CHOICES = {
    "kafka": servers.kafka_choice,
    "postgres": servers.postgres_choice,
    "redis": servers.redis_choice,
}

network_guard.install(servers.TEST_POSTGRES_URL, servers.TEST_REDIS_URL)


def pytest_report_header() -> list[str]:
    """Say what the run will use, so that a skipped test surprises nobody."""
    offers = {
        "broker": servers.kafka_choice(),
        "embedded broker": servers.embedded_choice(),
        "database": servers.postgres_choice(),
        "shared limits": servers.redis_choice(),
    }
    return [
        f"{what}: none ({offer})" if isinstance(offer, str) else f"{what}: {offer.name}"
        for what, offer in offers.items()
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKED:
                item.add_marker(MARKED[fixture])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what the servers of the tests to come are made of, before any test's time runs."""
    if session.config.option.collectonly:
        return
    for marker, choose in CHOICES.items():
        offer = choose()
        if isinstance(offer, servers.Choice) and any(
            item.get_closest_marker(marker) for item in session.items
        ):
            with suppress(Unavailable):  # the first test that needs it says so
                offer.fetch()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marked test before its fixtures start, whatever way it gets its server."""
    for marker, choose in CHOICES.items():
        if item.get_closest_marker(marker) is not None:
            offer = choose()
            if isinstance(offer, str):
                servers.missing(marker.capitalize(), offer)


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if UNIT not in request.path.parents:
        yield
        return
    with network_guard.offline("a unit test may not open sockets"):
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Apache Kafka, shared by the whole run."""
    offer = servers.kafka_choice()
    if isinstance(offer, str):
        servers.missing("Kafka", offer)
    with offer.open() as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[str]:
    """Bootstrap servers of the embedded broker that `crewline dev` uses."""
    offer = servers.embedded_choice()
    if isinstance(offer, str):
        servers.missing("The embedded broker", offer)
    with offer.open() as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """A prefix for topics and groups that no other test has, on a broker they share.

    Its topics go with the test: a broker that keeps thousands makes every client's start slower.
    """
    prefix = f"test-{secrets.token_hex(4)}"
    kafka = request.getfixturevalue("kafka") if "kafka" in request.fixturenames else None
    yield prefix
    if kafka is not None:
        asyncio.run(servers.delete_topics(kafka, prefix))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a real PostgreSQL, for SQLAlchemy with asyncpg; shared by the whole run."""
    offer = servers.postgres_choice()
    if isinstance(offer, str):
        servers.missing("PostgreSQL", offer)
    with offer.open() as url:
        yield url


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncIterator[str]:
    """The address of an empty database for one test, dropped afterwards."""
    import asyncpg  # noqa: PLC0415  # an optional extra

    name = f"test_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_url.rpartition('/')[0]}/{name}"
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a real Redis or Valkey, shared by the whole run; use a prefix of your own."""
    offer = servers.redis_choice()
    if isinstance(offer, str):
        servers.missing("Redis", offer)
    with offer.open() as url:
        yield url
