"""One connection to the gateway, byte by byte: what no client library would send, or send so."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from app.entrypoints.gateway import protocol
from tests.builders import started, submitted, task_id
from tests.e2e.fleet import Fleet
from tests.gateway_under_test import Gateway

LINE = b"GET /livez HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
GET = LINE + HOST + b"\r\n"
POST = b"POST /v1/tasks HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODY = b'{"agent":"business-analyst","input":"x"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def url(gateway: Gateway) -> AsyncIterator[str]:
    async with gateway.listening() as url:
        yield url


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Line:
    """A connection as its client holds it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> Answer:
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status.split()[1]), headers, body)

    async def problem(self) -> tuple[int, str]:
        """The status and code of what must be a problem, and the last answer."""
        answer = await self.answer()
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        assert await self.ends()
        said = json.loads(answer.body)
        assert said["status"] == answer.status
        return answer.status, said["code"]

    async def ends(self) -> bool:
        """Whether nothing more comes, and the connection was closed and not reset."""
        async with asyncio.timeout(30):
            return await self.reader.read() == b""


@asynccontextmanager
async def line(url: str, *pieces: bytes) -> AsyncIterator[Line]:
    """A connection to which this is written."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (LINE + b"\r\n", 400),
        (LINE + HOST + HOST + b"\r\n", 400),
        (LINE + b"Host: a\r\nHost: b\r\n\r\n", 400),
        (LINE + b"Host: \r\n\r\n", 400),
        (LINE + b"Host: a b\r\n\r\n", 400),
        (LINE + b"Host: a/b\r\n\r\n", 400),
        (LINE + b"Host: user@a\r\n\r\n", 400),
        (LINE + b"Host: a, b\r\n\r\n", 400),
        (LINE + b"Host: a:b\r\n\r\n", 400),
        (LINE + b"Host: [::1\r\n\r\n", 400),
        (b"GET /livez\r\n\r\n", 505),
        (b"GET /livez HTTP/0.9\r\n\r\n", 505),
        (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /livez HTTP/1.2\r\n" + HOST + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST.replace(b"1.1\r", b"1.0\r") + CHUNKED + b"\r\n0\r\n\r\n", 501),
        (POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
        (POST + b"Content-Length: 5, 5\r\n\r\nabcde", 400),
        (POST + b"Content-Length: +5\r\n\r\nabcde", 400),
        (POST + b"Content-Length: 0x5\r\n\r\nabcde", 400),
        (POST + b"Content-Length: 5 5\r\n\r\nabcde", 400),
        (POST + b"Content-Length: \r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n5;" + b"x" * 90_000 + b"\r\n", 400),
        (POST + CHUNKED + b"\r\nfffffffffffffffff\r\n", 400),
        (POST + CHUNKED + b"\r\n-1\r\n", 400),
        (POST + CHUNKED + b"\r\n0x5\r\nabcde\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n5\nabcde\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n5\r\nabcdefgh\r\n0\r\n\r\n", 400),
        (LINE + HOST + b"X: a\r\n b\r\n\r\n", 400),
        (LINE + HOST + b" X: a\r\n\r\n", 400),
        (LINE + b"X : a\r\n" + HOST + b"\r\n", 400),
        (LINE + HOST + b"X\r\n\r\n", 400),
        (LINE + HOST + b": a\r\n\r\n", 400),
        (LINE + HOST + b"X\xe9: a\r\n\r\n", 400),
        (LINE + HOST + b"X: a\x00\r\n\r\n", 400),
        (LINE + HOST + b"X: a\rb: c\r\n\r\n", 400),
        (LINE.replace(b"\r\n", b"\n") + HOST.replace(b"\r\n", b"\n") + b"\n", 400),
        (b"GET /livez HTTP/1.1\r" + HOST + b"\r\n", 400),
        (b"GET /li vez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET livez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /livez#x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET http://other/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://127.0.0.1/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417),
        (LINE + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (LINE + HOST + b"X: y\r\n" * 101 + b"\r\n", 431),
        (LINE + HOST + (b"X: " + b"a" * 13_000 + b"\r\n") * 6 + b"\r\n", 431),
        (LINE + HOST + (b"X: " + b"a" * 13_000 + b"\r\n") * 9 + b"\r\n", 431),
        (LINE + HOST + (b"X: " + b"a" * 13_000 + b"\r\n") * 90 + b"\r\n", 431),
        (b"GET /livez?" + b"a" * 66_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
        (b"\r\n" * 50_000, 431),
    ],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(
    url: str, sent: bytes, status: int
) -> None:
    async with line(url, sent) as client:
        said, _ = await client.problem()
        assert said == status
    async with line(url, GET) as client:
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"\r\n" + GET,
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"GET http://127.0.0.1/livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET HTTP://127.0.0.1/livez?a HTTP/1.1\r\n" + HOST + b"\r\n",
        LINE + b"Host: [::1]:8000\r\n\r\n",
        LINE + b"Host:127.0.0.1:8000   \r\n\r\n",
        LINE + HOST + b"X: a\tb \xe9\r\n\r\n",
        LINE + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        LINE + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        LINE + HOST + (b"X: " + b"a" * 13_000 + b"\r\n") * 4 + b"\r\n",
        LINE + HOST + b"Content-Length: 3\r\n\r\nabc",
        LINE + HOST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
async def test_what_is_unusual_is_served_and_so_is_the_next_request(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with line(url, sent) as client:
        assert (await client.answer()).status == 200
        if b"HTTP/1.0" not in sent:
            client.writer.write(GET)
            assert (await client.answer()).status == 200
    assert not caplog.records


async def test_what_asks_for_another_protocol_hides_no_request_behind_it(url: str) -> None:
    upgrade = LINE + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with line(url, upgrade + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n" + GET) as client:
        assert [(await client.answer()).status for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize("target", [b"/v1%2ftasks", b"/v1%2Ftasks", b"/%2fv1/tasks", b"//v1/tasks"])
async def test_a_path_is_what_it_says(url: str, target: bytes) -> None:
    async with line(url, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n") as client:
        assert (await client.answer()).status == 404


async def test_trailers_are_no_headers(gateway: Gateway, url: str) -> None:
    """Else they would pass whoever in front of us looks at headers."""
    size = b"%x\r\n" % len(BODY)
    trailers = b"Idempotency-Key: mine\r\nHost: b\r\n"
    sent = POST + CHUNKED + b"\r\n" + size + BODY + b"\r\n0\r\n" + trailers + b"\r\n"
    ids = set()
    for _ in range(2):
        async with line(url, sent) as client:
            answer = await client.answer()
            assert answer.status == 202
            ids.add(json.loads(answer.body)["id"])
    assert len(ids) == 2


async def test_trailers_without_an_end_are_refused(url: str) -> None:
    sent = POST + CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 20_000
    async with line(url, sent) as client:
        assert await client.problem() == (400, "malformed")


async def test_small_chunks_are_a_body_like_any_other(url: str) -> None:
    body = BODY + b" " * 50_000
    sent = b"".join(b"1;a\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    async with line(url, POST + CHUNKED + b"\r\n" + sent) as client:
        assert (await client.answer()).status == 202


async def test_requests_are_answered_in_their_order(gateway: Gateway, url: str) -> None:
    await gateway.happen(submitted(), started())
    slow = f"GET /v1/tasks/{task_id()} HTTP/1.1\r\nPrefer: wait=1\r\n".encode() + HOST + b"\r\n"
    submit = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    missing = b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n"
    async with line(url, slow + submit + missing + GET) as client:
        assert [(await client.answer()).status for _ in range(4)] == [200, 202, 404, 200]


@pytest.mark.parametrize("broken", [b"\x00\x01", LINE + b"\r\n", POST + CHUNKED + b"\r\nzz\r\n"])
async def test_a_refusal_waits_for_the_answers_before_it(
    gateway: Gateway, url: str, broken: bytes
) -> None:
    await gateway.happen(submitted(), started())
    slow = f"GET /v1/tasks/{task_id()} HTTP/1.1\r\nPrefer: wait=1\r\n".encode() + HOST + b"\r\n"
    async with line(url, slow + broken) as client:
        first = await client.answer()
        assert (first.status, json.loads(first.body)["state"]) == (200, "working")
        assert (await client.problem())[0] == 400


async def test_a_thousand_requests_at_once_are_no_way_to_ask(gateway: Gateway, url: str) -> None:
    await gateway.happen(submitted(), started())
    slow = f"GET /v1/tasks/{task_id()} HTTP/1.1\r\nPrefer: wait=1\r\n".encode() + HOST + b"\r\n"
    async with line(url, slow + GET * 10_000) as client:
        answers = 0
        while (answer := await client.answer()).status == 200:
            answers += 1
        assert answer.status == 400
        assert 100 <= answers <= 102
        assert await client.ends()


async def test_a_body_that_drips_on_behind_its_answer_holds_no_connection(url: str) -> None:
    head = b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n"
    async with line(url, head) as client:
        assert (await client.answer()).status == 404
        await dripped(client, b"x")


async def test_empty_lines_between_requests_hold_no_connection(url: str) -> None:
    async with line(url, GET) as client:
        assert (await client.answer()).status == 200
        await dripped(client, b"\r\n")


async def dripped(client: Line, drop: bytes) -> None:
    """Return when the connection ends, though something comes by it all the time."""

    async def drip() -> None:
        while True:
            client.writer.write(drop)
            await asyncio.sleep(0.2)

    dripping = asyncio.create_task(drip())
    try:
        assert await client.ends()
    finally:
        dripping.cancel()


async def test_a_head_that_drips_has_as_long_as_one_that_does_not_come(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 1.0)
    async with line(url) as client:

        async def drip() -> None:
            for byte in LINE + HOST + b"X: " + b"y" * 1_000:
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await client.problem() == (408, "request-timeout")
        dripping.cancel()


@pytest.mark.parametrize("closing", [b"Connection: close\r\n", b""])
@pytest.mark.parametrize("refused", [b"POST /nothing", b"POST /v1/tasks", b"GET /v1/agents"])
async def test_an_answer_reaches_who_is_still_sending(
    url: str, closing: bytes, refused: bytes
) -> None:
    """A connection closed over bytes nobody has read would be reset, and the answer with it."""
    head = refused + b" HTTP/1.1\r\n" + HOST + closing + b"Content-Length: 900000\r\n\r\n"
    async with line(url, head) as client:
        await asyncio.sleep(0.2)
        client.writer.write(b"x" * 899_999)
        await client.writer.drain()
        await asyncio.sleep(0.2)
        assert (await client.answer()).status in {200, 404, 415}


async def test_an_idle_connection_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 1.0)
    async with line(url) as silent, line(url, GET) as used:
        assert (await used.answer()).status == 200
        assert await silent.ends()
        assert await used.ends()


@pytest.mark.kafka
async def test_a_gateway_on_the_loopback_is_nobody_elses(fleet: Fleet) -> None:
    """The process as it is started: with its own settings, on its own port."""
    fleet.start("gateway")
    await fleet.ready()
    asked = b"POST /v1/dead-letters/redrive HTTP/1.1\r\n"
    port = fleet.url.rpartition(":")[2].encode()
    for headers, status in (
        (b"Host: 127.0.0.1:" + port + b"\r\n", 200),
        (b"Host: localhost:" + port + b"\r\nSec-Fetch-Site: same-origin\r\n", 200),
        (b"Host: evil.example\r\n", 421),
        (HOST + b"Origin: http://evil.example\r\n", 403),
        (HOST + b"Sec-Fetch-Site: cross-site\r\n", 403),
        (b"", 400),
        (b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", 400),
    ):
        async with line(fleet.url, asked + headers + b"Content-Length: 0\r\n\r\n") as client:
            assert (headers, (await client.answer()).status) == (headers, status)
