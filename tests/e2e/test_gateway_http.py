"""The gateway on a real port: what no client library would send, and what only time shows."""

import asyncio
import json
import re
import shlex
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.entrypoints.gateway import protocol
from tests.builders import completed, failed, progressed, started, submitted, task_id, token
from tests.gateway_under_test import QUICK, Gateway, until

DOCS = Path(__file__).parents[2] / "docs" / "http.md"
EVENTS = f"/v1/tasks/{task_id()}/events"
START = b'{"agent":"business-analyst","input":'
POST = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def url(gateway: Gateway) -> AsyncIterator[str]:
    async with gateway.listening() as url:
        yield url


async def send(url: str, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """Write bytes to the port and read what comes back: status, headers and body."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
    finally:
        writer.close()
    return int(status.split()[1]), headers, body


def sized(body: bytes, *, headers: bytes = b"") -> bytes:
    return POST + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"FOO /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 400_000, 431),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 40_000, 431),
        (b"GET /" + b"a" * 400_000, 431),
        (POST + b"\r\n", 400),
        (sized(b""), 400),
        (sized(START + b"[" * 10_000), 400),
        (sized(START + b'"\xff"}'), 400),
        (sized(START + b'{"x":NaN}}'), 400),
        (sized(START + b'"a","input":"b"}'), 400),
        (sized(b"null"), 422),
        (sized(START + b'"x"}', headers=b"Accept: \xff\xfe\r\n"), 406),
        (sized(START + b'"x"}', headers=b"Idempotency-Key: \xe9\r\n"), 422),
        (b"GET /v1/tasks/\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/tasks/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/tasks?limit=" + b"9" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 422),
        (b"GET /v1/tasks?label=%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n", 422),
        (b"TRACE /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
)
async def test_whatever_is_sent_gets_a_problem_document(
    url: str, request_bytes: bytes, status: int
) -> None:
    answered, headers, body = await send(url, request_bytes)
    problem = json.loads(body)
    assert (answered, problem["status"]) == (status, status)
    assert headers["content-type"] == "application/problem+json"
    assert len(problem["trace_id"]) == 32
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/health")).status_code == 200


async def test_a_head_that_does_not_come_holds_no_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 0.3)
    status, headers, body = await send(url, b"GET /health HTTP/1.1\r\nHost: x")
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["code"] == "request-timeout"
    silent, _ = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    async with asyncio.timeout(5):
        assert await silent.read() == b""


async def test_a_head_in_time_has_all_the_time_for_its_answer(
    gateway: Gateway, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 0.3)
    await gateway.happen(submitted(), started())
    async with httpx.AsyncClient(base_url=url) as client:
        for _ in range(2):
            answer = await client.get(f"/v1/tasks/{task_id()}", headers={"Prefer": "wait=1"})
            assert (answer.status_code, answer.json()["state"]) == (200, "working")


async def test_spaces_around_a_position_are_not_part_of_it(gateway: Gateway, url: str) -> None:
    await gateway.happen(submitted(), started(), completed())
    path = f"GET /v1/tasks/{task_id()}/events HTTP/1.1\r\nHost: x\r\n".encode()
    for given in (b"Last-Event-ID:  1.1 \r\n\r\n", b"Last-Event-ID: \r\n\r\n"):
        status, _, _ = await send(url, path + b"Accept: application/json\r\n" + given)
        assert status == 200


async def test_a_large_body_gets_an_answer_and_no_reset(url: str) -> None:
    body = START + b'"' + b"x" * 10_000_000 + b'"}'
    status, headers, _ = await send(url, sized(body))
    assert (status, headers["connection"]) == (413, "close")


async def test_a_large_body_in_pieces_is_refused_as_well(url: str) -> None:
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    status, headers, _ = await send(url, chunked, *[piece] * 160, b"0\r\n\r\n")
    assert (status, headers["connection"]) == (413, "close")


async def test_whoever_asks_first_need_not_send_a_large_body(url: str) -> None:
    asked = POST + b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n"
    status, headers, _ = await send(url, asked)
    assert (status, headers["connection"]) == (413, "close")


async def test_a_client_that_leaves_in_the_middle_is_no_error(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = url.removeprefix("http://").split(":")
    for sent in (
        POST + b"Content-Length: 100\r\n\r\n{",
        sized(START + b'"x"}', headers=b"Prefer: wait=50\r\n"),
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
    await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_stream_follows_a_task_and_goes_on_after_a_break(
    gateway: Gateway, url: str
) -> None:
    await gateway.happen(submitted(), started())
    path = f"{url}/v1/tasks/{task_id()}/events"
    async with asyncio.timeout(10), httpx.AsyncClient(timeout=5) as client:
        async with client.stream("GET", path) as stream:
            first = await anext(each async for each in stream.aiter_lines() if each[:2] == "id")
        await gateway.happen(progressed())
        replica = Gateway(log=gateway.log, store=gateway.store)
        async with replica.listening() as other:
            ahead = {"Last-Event-ID": first.removeprefix("id: ")}
            path = path.replace(url, other)
            async with client.stream("GET", path, headers=ahead) as stream:
                lines = aiter(stream.aiter_lines())
                second = await anext(each async for each in lines if each[:2] == "id")
                await gateway.happen(completed(sequence=3))
                rest = [each async for each in lines if each[:2] == "id"]
    assert (first, second, rest) == ("id: 1.1", "id: 1.2", ["id: 1.3"])


async def test_streams_that_nobody_reads_any_more_are_closed(gateway: Gateway, url: str) -> None:
    await gateway.happen(submitted(), started())
    path = f"{url}/v1/tasks/{task_id()}/events"
    streams = gateway.services.metrics

    def open_streams() -> float | None:
        return streams.get_sample_value("crewline_event_streams")

    async with httpx.AsyncClient(timeout=5) as client, client.stream("GET", path) as stream:
        await anext(stream.aiter_lines())
        assert open_streams() == 1
    await until(lambda: open_streams() == 0)


async def test_a_gateway_that_stops_ends_its_streams_and_waits(gateway: Gateway) -> None:
    async with httpx.AsyncClient(timeout=10) as client, asyncio.timeout(10):
        async with gateway.listening() as url:
            await gateway.happen(submitted(), started())
            path = f"{url}/v1/tasks/{task_id()}"
            waiting = asyncio.create_task(client.get(path, headers={"Prefer": "wait=50"}))
            following = asyncio.create_task(client.get(f"{path}/events"))
            await until(lambda: len(gateway.waiters.listeners.get(task_id(), ())) == 2)
            gateway.draining.begin()
            assert (await client.get(f"{url}/readyz")).status_code == 503
        assert (await waiting).json()["state"] == "working"
        assert (await following).status_code == 200


async def test_the_examples_of_the_documentation_work(gateway: Gateway, url: str) -> None:
    """Every `curl` in the document, with its own words, against this gateway."""
    text = DOCS.read_text().replace("http://127.0.0.1:8000", url)
    text = text.replace("$TASK/cancel", f"{task_id('running')}/cancel")
    text = text.replace("$TASK/retry", f"{task_id('failed')}/retry").replace("$TASK", task_id())
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("curl ")
    ]
    assert len(commands) >= 6
    await gateway.happen(submitted(), started(), completed())
    await gateway.happen(submitted("running"), started("running"))
    await gateway.happen(submitted("failed"), started("failed"), failed("failed"))
    for command in commands:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            "--fail-with-body",
            "--max-time",
            "20",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, f"{command}\n{out.decode()}"


async def test_more_streams_and_waits_than_may_be_are_told_to_come_back() -> None:
    limits = replace(QUICK, max_streams=2, max_waiting=1)
    gateway = Gateway(limits=limits)
    async with gateway.listening() as url, asyncio.timeout(10):
        await gateway.happen(submitted(), started())
        async with (
            httpx.AsyncClient(base_url=url, timeout=20) as http,
            http.stream("GET", EVENTS) as one,
        ):
            first = one.aiter_bytes()  # without it the stream is closed
            await anext(first)
            async with http.stream("GET", EVENTS) as two:
                second = two.aiter_bytes()
                await anext(second)
                refused = await http.get(EVENTS)
                assert (refused.status_code, refused.json()["code"]) == (503, "too-many-streams")
                assert refused.headers["retry-after"] == "5"
                assert (
                    await http.get(EVENTS, headers={"Accept": "application/json"})
                ).status_code == 200
            task = EVENTS.removesuffix("/events")
            waiting = asyncio.create_task(http.get(task, headers={"Prefer": "wait=9"}))
            await until(lambda: len(gateway.waiters.listeners[task_id()]) == 2)
            refused = await http.get(task, headers={"Prefer": "wait=9"})
            assert (refused.status_code, refused.json()["code"]) == (503, "too-many-waiting")
            body = {"agent": "business-analyst", "input": "x"}
            taken = await http.post("/v1/tasks", json=body, headers={"Prefer": "wait=9"})
            assert taken.status_code == 202
            assert "preference-applied" not in taken.headers
            await gateway.happen(completed())
            assert (await waiting).json()["state"] == "completed"
            assert (await http.get(task, headers={"Prefer": "wait=9"})).status_code == 200
            assert (await http.get(EVENTS)).status_code == 200


async def little_buffered(
    host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose kernel does not read megabytes ahead."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, port))
    return await asyncio.open_connection(sock=connection, limit=4_096)


async def test_who_reads_nothing_is_left_and_who_reads_slowly_is_not(
    gateway: Gateway, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the answer no more is held than the buffers of a connection."""
    monkeypatch.setattr(protocol, "_WRITE_SECONDS", 1)
    sent = [token(sequence=n, text="x" * 90_000) for n in range(2, 202)]
    await gateway.happen(submitted(), started(), *sent, completed(sequence=202))
    host, port = url.removeprefix("http://").split(":")
    request = f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    async with asyncio.timeout(60):
        slow, asking = await little_buffered(host, int(port))
        deaf, shouting = await little_buffered(host, int(port))
        for writer in (asking, shouting):
            writer.write(request)
        read = 0
        for _ in range(12):
            read += len(await slow.readexactly(400_000))
            await asyncio.sleep(0.25)
        while part := await slow.read(1_000_000):
            read += len(part)
            if part.endswith(b"0\r\n\r\n"):
                break
        assert read > 200 * 90_000
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await deaf.readexactly(200 * 90_000)
        for writer in (asking, shouting):
            writer.close()
