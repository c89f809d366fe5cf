"""Every failure is a problem document, and says what would be right."""

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from structlog.testing import capture_logs

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.ids import TaskId
from app.domain.model.task import Task
from app.ports.status_store import Page, StoreUnavailable, TaskFilter
from tests.builders import TRACEPARENT, task_id
from tests.gateway_under_test import Gateway

JSON = {"Content-Type": "application/json"}
START = b'{"agent":"business-analyst","input":'
FIELDS = {"type", "title", "status", "detail", "instance", "code", "retryable", "trace_id"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway().client() as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> str:
    """The detail of what must be a whole and clean problem document."""
    said = answer.json()
    assert (answer.status_code, said["status"], said["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(said) - {"errors", "checks"} == FIELDS
    assert said["type"] == f"urn:crewline:problem:{code}"
    assert said["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    assert len(said["trace_id"]) == 32
    assert "Traceback" not in answer.text
    detail: str = said["detail"]
    assert detail
    return detail


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "line 1, column 2"),
        (START + b'"a","input":"b"}', "'input' stands twice"),
        (START + b'{"x":{"a":1,"a":1}}}', "'a' stands twice"),
        (START + b'{"x":NaN}}', "NaN"),
        (START + b'{"x":-Infinity}}', "-Infinity"),
        (START + b'{"x":1e400}}', "too large"),
        (START + b'{"x":' + b"9" * 5_000 + b"}}", "5000 digits"),
        (START + b'{"x":' + b"[" * 63 + b"]" * 63 + b"}}", "deeper than 64"),
        (START + b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}}", "deeper than 64"),
        (START + b'{"x":' * 10_000, "deeper than 64"),
        (START + b'"\xff"}', "byte 37"),
        (START + b'"\\ud800"}', "hex escape"),
        (START + b'{"\\udc00":1}}', "not JSON"),
        (START + b'"a\nb"}', "control character"),
        ('{"agent":"a"}'.encode("utf-16"), "not UTF-8"),
        (START + b'"x"} trailing', "Extra data"),
        (START + b"'x'}", "not JSON"),
    ],
)
async def test_what_is_no_json_is_malformed(
    client: httpx.AsyncClient, body: bytes, said: str
) -> None:
    answer = await client.post("/v1/tasks", content=body, headers=JSON)
    assert said in problem(answer, 400, "malformed")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + START + b'"after a byte order mark"}',
        START + b'"\\u0000"}',
        START + b'"\\ud83d\\ude00"}',
        START + b'{"x":' + b"9" * 900 + b"}}",
        START + b'{"x":' + b"[" * 62 + b"]" * 62 + b"}}",
        b"\n\t " + START + b'"x"} \r\n',
    ],
)
async def test_unusual_json_is_accepted(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/v1/tasks", content=body, headers=JSON)).status_code == 202


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ([], "", "must be a JSON object"),
        (None, "", "must be a JSON object"),
        ("x", "", "must be a JSON object"),
        ({"inptu": "x"}, "/inptu", "did you mean 'input'?"),
        ({"input": "x", "wibble": 1}, "/wibble", "there are: input, parameters"),
        ({}, "/input", "is missing"),
        ({"input": 5}, "/input", "must be a text or an object"),
        ({"input": ["x"]}, "/input", "must be a text or an object"),
        ({"input": "x", "parameters": []}, "/parameters", "must be an object"),
        ({"input": "x", "labels": {"a b": "c"}}, "/labels/a b", "a name"),
        ({"input": "x", "labels": {"a/b": 1}}, "/labels/a~1b", "a text"),
        ({"input": "x", "timeout_seconds": 0}, "/timeout_seconds", "greater than 0"),
        ({"input": "x", "timeout_seconds": "5"}, "/timeout_seconds", "must be a number"),
        ({"input": "x", "timeout_seconds": True}, "/timeout_seconds", "must be a number"),
        ({"input": "x", "id": "x"}, "/id", "must be a UUID"),
        ({"input": "x", "expires_at": "soon"}, "/expires_at", "no time by RFC 3339"),
        ({"input": "x", "expires_at": "1800000000"}, "/expires_at", "no time by RFC 3339"),
        ({"input": "x", "not_before": 1_800_000_000}, "/not_before", "no time by RFC 3339"),
        ({"input": "x", "model": "gpt"}, "/model", "provider:name"),
        ({"input": ""}, "/input", "must not be empty"),
        ({"input": "x", "budget": 5}, "/budget", "must be a JSON object"),
        ({"input": "x", "budget": {"tokens": "5"}}, "/budget/tokens", "must be a number"),
        ({"input": "x", "budget": {"tokens": 0}}, "/budget/tokens", "greater than 0"),
        ({"input": "x", "budget": {"cost_usd": 1e300}}, "/budget/cost_usd", "than or equal to"),
        ({"input": "x", "budget": {"token": 5}}, "/budget/token", "did you mean 'tokens'?"),
        ({"input": "x", "budget": {"days": 5}}, "/budget/days", "tokens, model_calls, cost_usd"),
    ],
)
async def test_what_does_not_fit_is_said_where_it_stands(
    client: httpx.AsyncClient, body: object, pointer: str, said: str
) -> None:
    sent = {"agent": "business-analyst", **body} if isinstance(body, dict) else body
    answer = await client.post("/v1/tasks", content=json.dumps(sent), headers=JSON)
    problem(answer, 422, "invalid")
    first = answer.json()["errors"][0]
    assert first["pointer"] == pointer
    assert said in first["detail"]


@pytest.mark.parametrize("agent", ["nobody", "Business Analyst", "", "../etc", "a" * 100])
async def test_an_unknown_agent_is_told_which_there_are(
    client: httpx.AsyncClient, agent: str
) -> None:
    answer = await client.post("/v1/tasks", json={"agent": agent, "input": "x"})
    assert "there are: business-analyst" in problem(answer, 422, "unknown-agent")


async def test_an_unknown_runtime_is_told_which_there_are(client: httpx.AsyncClient) -> None:
    body = {"agent": "business-analyst", "input": "x", "runtime": "crewai"}
    answer = await client.post("/v1/tasks", json=body)
    assert "it has: rules" in problem(answer, 422, "unknown-runtime")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "Content-Type: application/json"),
        ({"Content-Type": "text/plain"}, "'text/plain' is not JSON"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "is not JSON"),
        ({"Content-Type": "application/json; charset=latin-1"}, "UTF-8"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "uncompressed"),
    ],
)
async def test_a_body_of_another_type_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], said: str
) -> None:
    answer = await client.post("/v1/tasks", content=START + b'"x"}', headers=headers)
    assert said in problem(answer, 415, "unsupported-media-type")
    assert {"accept", "accept-encoding"} & set(answer.headers)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=UTF-8",
        "Application/JSON",
        "application/vnd.x+json",
        'application/json; x=y; charset="utf-8"; z',
    ],
)
async def test_json_has_more_than_one_spelling(client: httpx.AsyncClient, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    answer = await client.post("/v1/tasks", content=START + b'"x"}', headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/xml", 406),
        ("*/*;q=0", 406),
        ("application/json;q=0, text/*", 406),
        ("application/json;q=x", 406),
        ("application/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("", 200),
        (", ,", 200),
    ],
)
async def test_an_answer_is_given_in_a_type_the_client_takes(
    client: httpx.AsyncClient, accept: str, status: int
) -> None:
    answer = await client.get("/v1/agents", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        problem(answer, 406, "not-acceptable")


async def test_a_path_nobody_serves_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/nope", "/v1/tasks/", "/v1/tasks/%00/x"):
        assert path[:4] in problem(await client.get(path), 404, "not-found")


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/tasks")
    assert "GET, HEAD, POST" in problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "\xe9".encode("latin-1")])
async def test_a_key_that_cannot_serve_is_refused(client: httpx.AsyncClient, key: str) -> None:
    headers = {**JSON, "Idempotency-Key": key}
    answer = await client.post("/v1/tasks", content=START + b'"x"}', headers=headers)
    problem(answer, 422, "invalid")
    assert answer.json()["errors"][0]["header"] == "Idempotency-Key"


async def test_two_different_keys_are_refused(client: httpx.AsyncClient) -> None:
    headers = [*JSON.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await client.post("/v1/tasks", content=START + b'"x"}', headers=headers)
    assert "more than once" in problem(answer, 422, "invalid")


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ("stat=working", "stat", "did you mean 'state'?"),
        ("state=wrking", "state", "'submitted'"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=201", "limit", "200"),
        ("limit=x", "limit", "integer"),
        ("label=x", "label", "must be `key:value`"),
        ("cursor=x", "cursor", "not one that"),
        ("cursor=%00%ff", "cursor", "not one that"),
        ("agent=A", "agent", "lower-case letters"),
        ("label=a:1&label=a:2", "label", "'a' cannot have two values"),
        ("agent=a&agent=b", "agent", "more than once"),
        ("limit=1&limit=1", "limit", "more than once"),
        ("context_id=", "context_id", "1 character"),
    ],
)
async def test_a_query_that_does_not_fit_names_its_parameter(
    client: httpx.AsyncClient, query: str, parameter: str, said: str
) -> None:
    answer = await client.get(f"/v1/tasks?{query}")
    problem(answer, 422, "invalid")
    first = answer.json()["errors"][0]
    assert first["parameter"] == parameter
    assert said in first["detail"]


@pytest.mark.parametrize(
    "path",
    [f"/v1/tasks/{task_id()}", "/v1/agents", "/v1/agents/x", "/v1/workers", "/v1/dead-letters/x"],
)
async def test_a_query_where_none_is_read_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"{path}?wait=5")
    assert problem(answer, 422, "invalid") == "wait: is not known; there are none here"
    submitted = await client.post("/v1/tasks?wait=5", json={"agent": "business-analyst"})
    assert problem(submitted, 422, "invalid").startswith("wait:")


async def test_probes_may_be_asked_with_anything(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
        assert (await client.get(f"{path}?t=1")).status_code == 200


async def test_too_large_a_body_is_refused_by_its_own_size(client: httpx.AsyncClient) -> None:
    large = START + b'"' + b"x" * 1_000_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(large), 100_000):
            yield large[begin : begin + 100_000]

    for content in (large, pieces()):
        answer = await client.post("/v1/tasks", content=content, headers=JSON)
        assert "1000000 bytes" in problem(answer, 413, "payload-too-large")
        assert answer.headers["connection"] == "close"


async def test_a_task_too_large_for_the_log_is_refused() -> None:
    gateway = Gateway()
    gateway.log._max_message_bytes = 1_000
    async with gateway.client() as client:
        content = START + b'"' + b"x" * 1_000 + b'"}'
        answer = await client.post("/v1/tasks", content=content, headers=JSON)
    assert "the log takes" in problem(answer, 413, "payload-too-large")


async def test_a_store_that_is_away_is_said_and_worth_another_try() -> None:
    async with Gateway(asked_store=AwayStore()).client() as client:
        for path in (f"/v1/tasks/{ID}", "/v1/tasks", f"/v1/tasks/{ID}/events"):
            answer = await client.get(path)
            assert "does not answer" in problem(answer, 503, "store-unavailable")
            assert (answer.json()["retryable"], answer.headers["retry-after"]) == (True, "1")


async def test_what_nobody_foresaw_is_logged_once_and_told_nobody() -> None:
    async with Gateway(asked_store=FaultyStore()).client() as client:
        with capture_logs() as logged:
            answer = await client.get("/v1/tasks", headers={"traceparent": TRACEPARENT})
        counted = (await client.get("/metrics")).text
    assert "secret" not in answer.text + problem(answer, 500, "internal")
    assert len(logged) == 1
    assert logged[0]["event"] == "request failed"
    assert logged[0]["trace_id"] == answer.json()["trace_id"] == TRACEPARENT.split("-")[1]
    assert 'http_response_status_code="500",http_route="/v1/tasks"' in counted


ID = "6f1f0d5e-6b59-4d5c-9f0a-2f6a3c1f7a10"


class AwayStore(MemoryStatusStore):
    async def find(self, task_id: TaskId) -> Task | None:
        raise StoreUnavailable("the database does not answer")

    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        raise StoreUnavailable("the database does not answer")


class FaultyStore(MemoryStatusStore):
    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        raise KeyError("secret")


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({f"u{number}": 1 for number in range(46_000)}, "/u0"),
        ({"input": "x", "budget": {f"u{number}": 1 for number in range(46_000)}}, "/budget/u0"),
        ({"input": "x", "labels": {f"u {number}": "v" for number in range(46_000)}}, "/labels"),
    ],
)
async def test_of_many_mistakes_twenty_are_told_and_how_many_there_are(
    client: httpx.AsyncClient, body: dict[str, object], first: str
) -> None:
    answer = await client.post("/v1/tasks", json={"agent": "business-analyst", **body})
    said = problem(answer, 422, "invalid")
    errors = answer.json()["errors"]
    assert len(errors) <= 20
    assert errors[0]["pointer"].startswith(first)
    assert len(answer.content) < 10_000
    (more,) = re.findall(r"\(and (\d+) more\)", said)
    assert 45_990 <= int(more) <= 46_010


async def test_a_long_name_is_quoted_in_part(client: httpx.AsyncClient) -> None:
    body = {"agent": "business-analyst", "input": "x", "y" * 500_000: 1}
    answer = await client.post("/v1/tasks", json=body)
    problem(answer, 422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == f"/{'y' * 199}…"
    assert len(answer.content) < 2_000


@pytest.mark.parametrize("inner", ["[],", "1,", '"x",', "{},", "null,"])
async def test_a_body_of_too_many_values_is_too_large(
    client: httpx.AsyncClient, inner: str
) -> None:
    few, many = (START + f'{{"x":[{inner * number}1]}}}}'.encode() for number in (99_000, 101_000))
    assert (await client.post("/v1/tasks", content=few, headers=JSON)).status_code == 202
    answer = await client.post("/v1/tasks", content=many, headers=JSON)
    assert "more than 100000 values" in problem(answer, 413, "payload-too-large")


@pytest.mark.parametrize("label", ["team:blue", "k{}:v", "k:{}", "nothing"])
async def test_a_parameter_is_not_repeated_without_end(
    client: httpx.AsyncClient, label: str
) -> None:
    for number in (33, 200, 2_000):
        asked = "&".join(f"label={label.format(each)}" for each in range(number))
        answer = await client.get(f"/v1/tasks?{asked}")
        problem(answer, 422, "invalid")
        said = f"is given {number} times; 32 are the most"
        assert answer.json()["errors"] == [{"parameter": "label", "detail": said}]
    most = "&".join(f"label=k{each}:v" for each in range(32))
    assert (await client.get(f"/v1/tasks?{most}")).status_code == 200
