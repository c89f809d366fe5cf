"""Whatever is read from outside costs time in proportion to its size, and no more.

The application is asked without the server in front of it, so that no cap on a head's size hides
how the code behind it reads. What is measured is the processor's time, not the clock's.
"""

import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import pytest
from starlette.types import Message, Scope

from app.entrypoints.gateway.services import GatewayLimits
from tests.builders import submitted, task_id
from tests.gateway_under_test import Gateway
from tests.otel_spans import Services

HEAD, BODY = 16_384, 125_000
"""Bytes of the smallest of three sizes; the largest is four times that."""
GROWTH = 10
"""How much more time four times as much may take: proportional is 4, quadratic 16."""
FLOOR = 0.03
"""Seconds below which nothing is told from noise."""
TRIALS = 4
"""How often a size is measured, at most: the least of it counts, for the machine has others."""

LONGEST_PROBLEM = 16_384
"""Characters of a refusal, whatever it is about."""

TASK = f"/v1/tasks/{task_id()}"
START = b'{"agent":"business-analyst","input":'


class Asked(NamedTuple):
    """A request as a server hands it to the application."""

    method: str = "GET"
    path: str = "/v1/agents"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


Build = Callable[[int], Asked]
"""Makes a request with so many bytes from outside in it."""


def header(name: str, unit: bytes, path: str = "/v1/agents", method: str = "GET") -> Build:
    """One header made of a repeated piece."""

    def build(size: int) -> Asked:
        value = unit * (size // len(unit))
        headers: tuple[tuple[bytes, bytes], ...] = ((name.lower().encode(), value),)
        if method == "POST" and name != "Content-Type":
            headers += ((b"content-type", b"application/json"),)
        return Asked(method, path, headers=headers, body=START + b'"x"}')

    return build


def many_headers(name: str, value: bytes, path: str = "/v1/agents") -> Build:
    """One header given again and again."""

    def build(size: int) -> Asked:
        each = (name.lower().encode(), value)
        return Asked("GET", path, headers=(each,) * (size // (len(value) + len(name) + 4)))

    return build


def query(path: str, before: bytes, unit: bytes, after: bytes = b"") -> Build:
    return lambda size: Asked("GET", path, query=before + unit * (size // len(unit)) + after)


def numbered(path: str, text: str, joint: str = "&") -> Build:
    """A query with a different number in each of its parameters."""

    def build(size: int) -> Asked:
        count = size // (len(text) + 6)
        return Asked("GET", path, query=joint.join(text % each for each in range(count)).encode())

    return build


def path(before: str, unit: str, after: str = "", method: str = "GET") -> Build:
    return lambda size: Asked(method, before + unit * (size // len(unit)) + after)


def body(before: bytes, unit: bytes, after: bytes, to: str = "/v1/tasks") -> Build:
    """A body whose middle is repeated."""

    def build(size: int) -> Asked:
        whole = before + unit * (size // len(unit)) + after
        return Asked("POST", to, headers=((b"content-type", b"application/json"),), body=whole)

    return build


def members(text: str, before: bytes = b"{", after: bytes = b"}", to: str = "/v1/tasks") -> Build:
    """An object of many members, each with a number of its own."""

    def build(size: int) -> Asked:
        several = ",".join(text % each for each in range(size // (len(text) + 4))).encode()
        return Asked(
            "POST",
            to,
            headers=((b"content-type", b"application/json"),),
            body=before + several + after,
        )

    return build


QUOTES = (b'"', b'\\"', b'"\\', b"\\", b'a"', b'""')
TEXTS = (
    b" ",
    b"\t",
    b",",
    b";",
    b"=",
    b"a",
    b"1",
    b"a,",
    b"a;",
    b"a=b,",
    b"a=b;",
    b"*/*,",
    b"-",
    b"%",
)
HEADERS: dict[str, tuple[bytes, ...]] = {
    "Prefer": (b"wait=", b"wait=1;", b"wait=0,", b"wait ", b'wait="1" ', b"wait=1 "),
    "Accept": (b"*/*;q=", b"application/json;", b"text/html;q=0.1,", b"application/"),
    "Accept-Language": (b"de;q=0.5,",),
    "Accept-Encoding": (b"gzip;q=0.5,",),
    "If-None-Match": (b'W/"a",', b"W/", b'"a" '),
    "If-Match": (b'"a",',),
    "If-Modified-Since": (b"Mon, ",),
    "traceparent": (b"00-", b"0", b"00-0af7651916cd43dd8448eb211c80319c-"),
    "tracestate": (b"a=1,", b" ,", b" =", b"a@"),
    "baggage": (b"a=1,", b"a=b;c=d,", b"%20", b"a=%41,"),
    "Idempotency-Key": (b"key ", b"!"),
    "Last-Event-ID": (b"1.", b"1.1,", b"9"),
    "Content-Type": (b"application/json;", b"application/", b";charset=", b"a/b+json"),
    "Content-Encoding": (b"gzip,", b"identity,"),
    "Cookie": (b"a=1; ", b'a="\\012', b"\\042", b"=;"),
    "Range": (b"bytes=0-0,", b"0-0,", b"bytes=", b"0-"),
    "If-Range": (b'"a"',),
    "Forwarded": (b"for=1.1.1.1,", b'for="[::1]";', b"for="),
    "X-Forwarded-For": (b"1.1.1.1,", b"1.1.1.1, "),
    "X-Forwarded-Proto": (b"https,",),
    "X-Forwarded-Host": (b"a.example,",),
    "Host": (b"a.", b"a:", b"[", b"[::1]", b"1.", b"a@"),
    "Origin": (b"http://", b"a.", b"null ", b"http://a:1"),
    "Referer": (b"http://a/",),
    "Sec-Fetch-Site": (b"cross-site,",),
    "User-Agent": (b"Mozilla/5.0 (",),
    "Authorization": (b"Basic ",),
    "Content-Length": (b"9",),
    "Expect": (b"100-continue,",),
    "Access-Control-Request-Headers": (b"a,",),
    "X-Whatever": (b"\xff",),
}
WHERE = {
    "Prefer": TASK,
    "Last-Event-ID": f"{TASK}/events",
    "Idempotency-Key": "/v1/tasks",
    "Content-Type": "/v1/tasks",
    "Content-Encoding": "/v1/tasks",
    "Content-Length": "/v1/tasks",
    "traceparent": "/v1/tasks",
    "tracestate": "/v1/tasks",
    "baggage": "/v1/tasks",
    "Range": "/docs/assets/swagger-ui.css",
    "If-Range": "/docs/assets/swagger-ui.css",
    "If-Match": "/docs/assets/swagger-ui.css",
    "If-Modified-Since": "/docs/assets/swagger-ui.css",
}


def of_header(name: str) -> Iterator[Build]:
    """Every way to fill this header."""
    own, to = HEADERS[name], WHERE.get(name, "/v1/agents")
    method = "POST" if to == "/v1/tasks" else "GET"
    for unit in (*own, *TEXTS, *QUOTES):
        yield header(name, unit, to, method)
        yield header(name, unit, "/metrics")
    yield many_headers(name, own[0], to)


QUERIES: dict[str, Build] = {
    "label the same": query("/v1/tasks", b"label=a:b", b"&label=a:b"),
    "labels": numbered("/v1/tasks", "label=k%d:v"),
    "labels of two values": numbered("/v1/tasks", "label=k:%d"),
    "a long label": query("/v1/tasks", b"label=", b"a:"),
    "a long label without a name": query("/v1/tasks", b"label=", b":"),
    "broken labels": query("/v1/tasks", b"label=", b"x&label="),
    "states": query("/v1/tasks", b"state=", b"working&state="),
    "a long state": query("/v1/tasks", b"state=", b"working"),
    "agents": query("/v1/tasks", b"agent=a", b"&agent=a"),
    "a long agent": query("/v1/tasks", b"agent=", b"a"),
    "a long context": query("/v1/tasks", b"context_id=", b"%20"),
    "cursors": query("/v1/tasks", b"cursor=a", b"&cursor=a"),
    "a long cursor": query("/v1/tasks", b"cursor=", b"MTIzNDU2Nzg5"),
    "a cursor of digits": query("/v1/tasks", b"cursor=", b"OTk5"),
    "a letters' cursor": query("/v1/dead-letters", b"cursor=", b"OTk5"),
    "a cursor's number": query("/v1/tasks", b"cursor=1", b"0", b".x"),
    "a cursor's dots": query("/v1/tasks", b"cursor=1", b"."),
    "a long limit": query("/v1/tasks", b"limit=", b"9"),
    "a limit of noughts": query("/v1/tasks", b"limit=", b"0", b"1"),
    "a limit of blanks": query("/v1/tasks", b"limit=", b"+"),
    "unknown ones": numbered("/v1/tasks", "unknown%d=1"),
    "unknown ones, near": numbered("/v1/tasks", "label%d=1"),
    "a long unknown one": query("/v1/tasks", b"", b"label"),
    "unknown ones where none is known": numbered("/v1/agents", "u%d=1"),
    "unknown ones of a task": numbered(TASK, "u%d=1"),
    "events after": query(f"{TASK}/events", b"after=", b"1."),
    "events after, often": query(f"{TASK}/events", b"after=1.1", b"&after=1.1"),
    "times": query("/v1/dead-letters", b"since=", b"2026-01-01T00:00:00Z"),
    "a time of digits": query("/v1/dead-letters", b"since=2026-", b"0"),
    "a time of a long fraction": query(
        "/v1/dead-letters", b"since=2026-01-01T00:00:00.", b"0", b"Z"
    ),
    "ampersands": query("/v1/tasks", b"", b"&"),
    "equals": query("/v1/tasks", b"", b"="),
    "escapes": query("/v1/tasks", b"", b"%41"),
    "broken escapes": query("/v1/tasks", b"", b"%"),
    "pluses": query("/v1/tasks", b"", b"+"),
    "halves of characters": query("/v1/tasks", b"label=", b"%ed%a0%80"),
    "a query of the probes": numbered("/health", "u%d=1"),
}

PATHS: dict[str, Build] = {
    "a task": path("/v1/tasks/", "a"),
    "a task's hyphens": path("/v1/tasks/", "-"),
    "a task's braces": path("/v1/tasks/", "{}"),
    "a task's urn": path("/v1/tasks/", "urn:uuid:"),
    "a task's digits": path("/v1/tasks/", "0"),
    "a task's events": path("/v1/tasks/", "a", "/events"),
    "a task's cancel": path("/v1/tasks/", "a", "/cancel", "POST"),
    "a letter": path("/v1/dead-letters/", "f"),
    "a letter's redrive": path("/v1/dead-letters/", "f", "/redrive", "POST"),
    "an agent": path("/v1/agents/", "a"),
    "a schema": path("/schemas/", "a."),
    "a schema's endings": path("/schemas/", ".json"),
    "slashes": path("/", "/"),
    "segments": path("/v1/tasks", "/a"),
    "dots": path("/docs/assets/", "../"),
    "an asset": path("/docs/assets/", "a"),
    "assets": path("/docs/assets/", "a/"),
    "percents": path("/v1/tasks/", "%"),
    "letters of many bytes": path("/v1/agents/", "ü"),
    "nothing served": path("/", "x"),
    "another method": path("/v1/tasks/", "a", method="DELETE"),
}

CANCEL, REDRIVE = f"{TASK}/cancel", "/v1/dead-letters/redrive"
BODIES: dict[str, Build] = {
    "a long text": body(START + b'"', b"x", b'"}'),
    "a text of escapes": body(START + b'"', b'\\"', b'"}'),
    "a text of unicode escapes": body(START + b'"', b"\\u0041", b'"}'),
    "a text of pairs": body(START + b'"', b"\\ud83d\\ude00", b'"}'),
    "a text of halves": body(START + b'"', b"\\ud83d", b'"}'),
    "a text of many bytes": body(START + b'"', "ü€😀".encode(), b'"}'),
    "a text without an end": body(START + b'"', b"x", b""),
    "a text of backslashes without an end": body(START + b'"', b"\\\\", b""),
    "depth": body(START + b'{"x":', b"[", b"]}}"),
    "depth of objects": body(START, b'{"x":', b"}"),
    "closings": body(START, b"]", b"}"),
    "siblings": body(START + b'{"x":[', b"[[]],", b"1]}}"),
    "siblings, deep": body(START + b'{"x":[', b"[" * 50 + b"]" * 50 + b",", b"1]}}"),
    "numbers": body(START + b'{"x":[', b"1,", b"1]}}"),
    "long numbers": body(START + b'{"x":[', b"9" * 900 + b",", b"1]}}"),
    "fractions": body(START + b'{"x":[', b"1e-300,", b"1]}}"),
    "a long number": body(START + b'{"x":', b"9", b"}}"),
    "a long negative number": body(START + b'{"x":-', b"9", b"}}"),
    "a long fraction": body(START + b'{"x":0.', b"0", b"1}}"),
    "a long fraction of nines": body(START + b'{"x":0.', b"9", b"}}"),
    "a long exponent": body(START + b'{"x":1e', b"0", b"1}}"),
    "a long number before a fraction": body(START + b'{"x":', b"9", b".5}}"),
    "literals": body(START + b'{"x":[', b"true,null,", b"1]}}"),
    "blanks": body(b"", b" ", START + b'"x"}'),
    "blanks behind": body(START + b'"x"}', b"\n", b""),
    "only blanks": body(b"", b" \n", b""),
    "zeros": body(b"", b"\x00", b""),
    "marks of byte order": body(b"", b"\xef\xbb\xbf", START + b'"x"}'),
    "no UTF-8": body(START + b'"', b"\xff", b'"}'),
    "rubbish": body(b"", b"x", b""),
    "an array": body(b"[", b"1,", b"1]"),
    "lines": body(START + b'"x"', b"\n", b"x"),
    "the same member": body(START + b'"x"', b',"input":1', b"}"),
    "the same member inside": body(START + b'{"a":1', b',"a":1', b"}}"),
    "members, the last one twice": members('"a%d":1', START + b"{", b',"z":1,"z":1}}'),
    "members of an input": members('"a%d":1', START + b"{", b"}}"),
    "members that end alike": members('"%d' + "a" * 200 + '":1', START + b"{", b"}}"),
    "unknown fields": members('"u%d":1'),
    "unknown fields, near": members('"label%d":1'),
    "unknown fields of a budget": members('"u%d":1', START + b'"x","budget":{', b"}}"),
    "a long unknown field": body(b'{"', b"x", b'":1}'),
    "a long unknown field of escapes": body(b'{"', b"~/", b'":1}'),
    "labels": members('"k%d":"v"', START + b'"x","labels":{', b"}}"),
    "broken labels": members('"k %d":1', START + b'"x","labels":{', b"}}"),
    "a long label": body(START + b'"x","labels":{"', b"x", b'":1}}'),
    "a long value of a label": body(START + b'"x","labels":{"a":"', b"x", b'"}}'),
    "parameters": members('"p%d":[1]', START + b'"x","parameters":{', b"}}"),
    "a long agent": body(b'{"input":"x","agent":"', b"a", b'"}'),
    "a long id": body(START + b'"x","id":"', b"0", b'"}'),
    "a long context": body(START + b'"x","context_id":"', b"a", b'"}'),
    "a long model": body(START + b'"x","model":"', b"a:", b'"}'),
    "a long runtime": body(START + b'"x","runtime":"', b"a", b'"}'),
    "a long priority": body(START + b'"x","priority":"', b"high", b'"}'),
    "a long time": body(START + b'"x","expires_at":"2026-', b"0", b'"}'),
    "a long fraction of a second": body(
        START + b'"x","expires_at":"2026-01-01T00:00:00.', b"0", b'Z"}'
    ),
    "a long time-out": body(START + b'"x","timeout_seconds":0.', b"0", b"1}"),
    "a list for a text": body(START + b"[", b'"x",', b'"x"]}'),
    "a cancel's reason": body(b'{"reason":"', b"x", b'"}', CANCEL),
    "a cancel's unknown fields": members('"u%d":1', to=CANCEL),
    "a redrive's cursor": body(b'{"cursor":"', b"OTk5", b'"}', REDRIVE),
    "a redrive's person": body(b'{"by":"', b"x", b'"}', REDRIVE),
    "a redrive's unknown fields": members('"u%d":1', b'{"filter":{', b"}}", REDRIVE),
    "a redrive's agent": body(b'{"filter":{"agent":"', b"a", b'"}}', REDRIVE),
    "a redrive's rate": body(b'{"rate_per_second":1', b"0", b".0}", REDRIVE),
}


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> Iterator[None]:
    """Have the collector pass over what was made before: it is called for each request."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway(limits=GatewayLimits(max_body_bytes=5 * BODY))
    Services().start("gateway").instrument(gateway.app)
    async with gateway.running():
        await gateway.happen(submitted())
        yield gateway


async def spent(gateway: Gateway, asked: Asked) -> tuple[float, int, bytes]:
    """Seconds of the processor that an answer takes, the answer's status and its body."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "query_string": asked.query,
        "root_path": "",
        "headers": [(b"host", b"gateway")] * (not _has_host(asked)) + [*asked.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    answered: list[Message] = []
    left = [
        {"type": "http.request", "body": asked.body[place : place + 65_536], "more_body": True}
        for place in range(0, len(asked.body), 65_536)
    ]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)

    gc.collect()
    gc.disable()  # when it has its turn depends on all that was made before
    try:
        began = time.process_time()
        await gateway.app(scope, receive, send)
        took = time.process_time() - began
    finally:
        gc.enable()
    said = b"".join(each.get("body", b"") for each in answered)
    return took, answered[0]["status"], said


def _has_host(asked: Asked) -> bool:
    return any(name == b"host" for name, _ in asked.headers)


@pytest.mark.parametrize("name", HEADERS)
async def test_a_header_costs_in_proportion_to_its_size(gateway: Gateway, name: str) -> None:
    for build in of_header(name):
        await grows_in_proportion(gateway, build, HEAD)


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_costs_in_proportion_to_its_size(gateway: Gateway, name: str) -> None:
    await grows_in_proportion(gateway, QUERIES[name], HEAD)


@pytest.mark.parametrize("name", PATHS)
async def test_a_path_costs_in_proportion_to_its_size(gateway: Gateway, name: str) -> None:
    await grows_in_proportion(gateway, PATHS[name], HEAD)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_costs_in_proportion_to_its_size(gateway: Gateway, name: str) -> None:
    await grows_in_proportion(gateway, BODIES[name], BODY)


async def grows_in_proportion(gateway: Gateway, build: Build, smallest: int) -> None:
    """Ask three times, each twice as large; fail where time or the answer grow faster than that."""
    least: dict[int, float] = {}
    for _ in range(TRIALS):
        for size in (smallest, 2 * smallest, 4 * smallest):
            asked = build(size)
            took, status, said = await spent(gateway, asked)
            assert status < 500, said[:500]
            assert status < 400 or len(said) < LONGEST_PROBLEM, (status, len(said))
            least[size] = min(took, least.get(size, took))
        once, _, four = least.values()
        if four <= GROWTH * max(once, FLOOR):
            return
    raise AssertionError(f"seconds by size: {least}; {asked[:3]} {asked.headers!r:.200}")
