"""Whose requests the gateway serves: not those of other sites' pages, nor for other hosts."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from app.entrypoints.gateway.request_guard import hosts_of
from tests.builders import started, submitted, task_id
from tests.gateway_under_test import Gateway

TASK = f"/v1/tasks/{task_id()}"
LETTER = "/v1/dead-letters/0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f"
HARMFUL = (
    f"{TASK}/cancel",
    f"{LETTER}/redrive",
    f"{LETTER}/discard",
    "/v1/dead-letters/redrive",
)
READ = (TASK, f"{TASK}/events", "/v1/tasks", "/v1/agents", "/metrics")
HERE = "http://127.0.0.1:8000"


def a_gateway(*hosts: str, origins: tuple[str, ...] = ()) -> Gateway:
    return Gateway(
        adapt=lambda services: replace(services, allowed_hosts=hosts, cors_origins=origins)
    )


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    gateway = a_gateway("localhost")
    async with gateway.client() as client:
        client.base_url = httpx.URL(HERE)
        await gateway.happen(submitted(), started())
        yield client


OTHERS = (
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
    {"Origin": "http://evil.example"},
    {"Origin": "https://127.0.0.1.evil.example:8000"},
    {"Origin": "null"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "file://"},
    {"Origin": "http://127.0.0.1:8000.evil.example"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "unheard-of"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
)


@pytest.mark.parametrize("whose", OTHERS, ids=str)
async def test_a_page_of_another_site_changes_and_reads_nothing(
    client: httpx.AsyncClient, whose: dict[str, str]
) -> None:
    for path in HARMFUL:
        answer = await client.post(path, headers=whose)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross-site")
    body = {"agent": "business-analyst", "input": "x"}
    assert (await client.post("/v1/tasks", json=body, headers=whose)).status_code == 403
    for path in READ:
        assert (await client.get(path, headers=whose)).status_code == 403
        assert (await client.head(path, headers=whose)).status_code == 403
    assert (await client.get(TASK)).json()["reason"] != "canceling"


async def test_a_link_may_lead_here_but_a_form_may_not(client: httpx.AsyncClient) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    answer = await client.get("/docs", headers=link)
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert (await client.post(f"{TASK}/cancel", headers=link)).status_code == 403


@pytest.mark.parametrize(
    "whose",
    [
        {},
        {"Origin": HERE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Origin": HERE},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    ],
    ids=str,
)
async def test_our_own_pages_and_programs_may_do_all(
    client: httpx.AsyncClient, whose: dict[str, str]
) -> None:
    for path in READ[:1] + READ[2:]:
        assert (await client.get(path, headers=whose)).status_code == 200
    assert (await client.post(f"{TASK}/cancel", headers=whose)).status_code == 202
    body = {"agent": "business-analyst", "input": "x"}
    assert (await client.post("/v1/tasks", json=body, headers=whose)).status_code == 202


async def test_a_page_behind_a_proxy_that_speaks_tls_is_our_own() -> None:
    async with a_gateway("api.example.com").client() as client:
        for origin, host in (
            ("https://api.example.com", "api.example.com"),
            ("https://API.example.com:443", "api.example.com"),
            ("https://api.example.com:8443", "api.example.com:8443"),
        ):
            whose = {"Origin": origin, "Host": host}
            assert (await client.get("/v1/agents", headers=whose)).status_code == 200


async def test_every_page_may_ask_where_all_origins_are_allowed() -> None:
    async with a_gateway(origins=("*",)).client() as client:
        answer = await client.get("/v1/agents", headers={"Origin": "https://ui.example"})
    assert answer.status_code == 200


async def test_pages_that_were_allowed_to_may_ask() -> None:
    origin = "https://app.example"
    async with a_gateway("localhost", origins=(origin,)).client() as client:
        client.base_url = httpx.URL(HERE)
        whose = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        body = {"agent": "business-analyst", "input": "x"}
        answer = await client.post("/v1/tasks", json=body, headers=whose)
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == origin
        preflight = {"Access-Control-Request-Method": "POST", **whose}
        assert (await client.options("/v1/tasks", headers=preflight)).status_code == 200
        other = {**whose, "Origin": "https://other.example"}
        assert (await client.post("/v1/tasks", json=body, headers=other)).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "0.0.0.0:8000",
        "10.0.0.1",
        "[::2]:8000",
        "[fe80::1]",
    ],
)
async def test_a_name_that_was_made_to_lead_here_is_served_nothing(
    client: httpx.AsyncClient, host: str
) -> None:
    """The page's own name then is the host, and to its browser we are the page's own site."""
    whose = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for path in (*READ[:-1], "/docs", "/openapi.json", "/nothing"):
        answer = await client.get(path, headers=whose)
        assert (answer.status_code, answer.json()["code"]) == (421, "unknown-host")
    for path in HARMFUL:
        assert (await client.post(path, headers=whose)).status_code == 421
    assert (await client.post(HARMFUL[0], headers={"Host": host})).status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.:1",
        "a.localhost",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]:8000",
        "[::1]",
    ],
)
async def test_the_loopback_has_many_names(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/agents", headers={"Host": host})).status_code == 200


async def test_hosts_may_be_named() -> None:
    async with a_gateway("API.example.com", "*.internal").client() as client:
        for host, status in (
            ("api.example.com", 200),
            ("api.example.com:8443", 200),
            ("a.internal", 200),
            ("a.b.internal", 200),
            ("localhost", 200),
            ("internal", 421),
            ("xapi.example.com", 421),
            ("example.com", 421),
            ("10.0.0.1", 421),
        ):
            answer = await client.get("/v1/agents", headers={"Host": host})
            assert (host, answer.status_code) == (host, status)
        for probe in ("/livez", "/readyz", "/health", "/metrics"):
            assert (await client.get(probe, headers={"Host": "10.0.0.1:8000"})).status_code == 200
            assert (await client.get(probe, headers={"Host": "evil.example"})).status_code == 421


@pytest.mark.parametrize(
    ("listening_on", "named", "served"),
    [
        ("127.0.0.1", [], ("localhost",)),
        ("::1", [], ("localhost",)),
        ("localhost", [], ("localhost",)),
        ("0.0.0.0", [], ()),
        ("::", [], ()),
        ("10.0.0.1", [], ()),
        ("127.0.0.1", ["*"], ("*",)),
        ("127.0.0.1", ["a.example"], ("a.example",)),
        ("0.0.0.0", ["a.example"], ("a.example",)),
    ],
)
def test_a_gateway_of_this_machine_alone_has_only_its_names(
    listening_on: str, named: list[str], served: tuple[str, ...]
) -> None:
    assert hosts_of(listening_on, named) == served


async def test_an_encoded_slash_is_no_slash(client: httpx.AsyncClient) -> None:
    for path in ("/v1%2ftasks", "/v1%2Ftasks", "/v1/tasks%2f", "/%2fv1/tasks"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
