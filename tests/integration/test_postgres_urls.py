"""URLs of PostgreSQL as libpq's clients write them, on a real server."""

import pytest
from sqlalchemy import text

from app.adapters.sql.opening import open_database
from app.ports.status_store import StoreUnavailable

pytestmark = pytest.mark.postgres


async def ask(url: str, question: str) -> str:
    async with open_database(url) as database:
        return str(await database.read(lambda connection: connection.scalar(text(question))))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
async def test_a_server_without_tls_is_reached_where_the_mode_allows_it(
    postgres_database: str, mode: str
) -> None:
    assert await ask(f"{postgres_database}?sslmode={mode}", "SELECT 1") == "1"


async def test_settings_of_the_session_arrive(postgres_database: str) -> None:
    url = (
        f"{postgres_database}?application_name=views&connect_timeout=30"
        "&options=-c%20statement_timeout%3D12345&target_session_attrs=read-write"
    )
    assert await ask(url, "SHOW application_name") == "views"
    assert await ask(url, "SHOW statement_timeout") == "12345ms"
    assert await ask(postgres_database, "SHOW application_name") == "crewline"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_told_of_where_tls_is_required(
    postgres_database: str, mode: str
) -> None:
    if await ask(postgres_database, "SHOW ssl") == "on":
        pytest.skip("this server speaks TLS")
    with pytest.raises(StoreUnavailable, match=r"(?i)ssl"):
        await ask(f"{postgres_database}?sslmode={mode}", "SELECT 1")
