"""Liveness, readiness, metrics, and the documents that describe it all."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from app.domain.model.errors import Unavailable
from app.entrypoints.gateway.example_answers import SUBMITS
from tests.gateway_under_test import Gateway, with_readiness


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway().client() as client:
        yield client


async def away() -> None:
    raise Unavailable("the broker does not answer")


async def silent() -> None:
    await asyncio.sleep(60)


async def fine() -> None:
    pass


async def test_liveness_asks_nobody() -> None:
    async with Gateway(adapt=with_readiness(broker=silent)).client() as client:
        for path in ("/health", "/livez"):
            answer = await client.get(path)
            assert answer.json() == {"status": "healthy", "version": "1.2.3"}


async def test_readiness_asks_everyone(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.json() == {"status": "ready", "checks": {"broker": "ok", "store": "ok"}}


async def test_readiness_names_what_is_away_and_does_not_wait_for_it() -> None:
    gateway = Gateway(adapt=with_readiness(broker=away, store=silent, other=fine))
    async with gateway.client() as client, asyncio.timeout(10):
        answer = await client.get("/readyz")
    said = answer.json()
    assert (answer.status_code, said["code"], said["retryable"]) == (503, "not-ready", True)
    assert answer.headers["retry-after"] == "1"
    assert said["checks"] == {
        "broker": "the broker does not answer",
        "store": "no answer within 0.2 seconds",
        "other": "ok",
    }
    assert said["detail"] == "; ".join(
        f"{name}: {found}" for name, found in said["checks"].items() if found != "ok"
    )


async def test_readiness_goes_away_before_the_gateway() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        before = await client.get("/v1/agents")
        gateway.draining.announce()
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        after = await client.get("/v1/agents")
        assert after.status_code == 200
        assert "connection" not in before.headers
        assert after.headers["connection"] == "close"


async def test_metrics_are_told_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await client.get(f"/v1/tasks/{name}")
        await client.get(f"/{name}")
    said = (await client.get("/metrics")).text
    labels = 'http_request_method="GET",http_response_status_code="404"'
    assert f'duration_seconds_count{{{labels},http_route="/v1/tasks/{{task_id}}"}} 2.0' in said
    assert f'duration_seconds_count{{{labels},http_route=""}} 2.0' in said


async def test_metrics_speak_openmetrics_where_it_is_asked(client: httpx.AsyncClient) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await client.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_the_contract_of_the_topics_is_served(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "asyncapi.json").write_text('{"asyncapi": "3.0.0"}')
    (tmp_path / "schemas" / "task.submit.v1.json").write_text('{"title": "SubmitTask"}')
    gateway = Gateway(adapt=lambda services: replace(services, contract=tmp_path))
    async with gateway.client() as client:
        document = await client.get("/asyncapi.json")
        schema = await client.get("/schemas/task.submit.v1")
        unknown = await client.get("/schemas/x")
        outside = await client.get("/schemas/..%2fasyncapi")
    assert document.json() == {"asyncapi": "3.0.0"}
    assert schema.json() == {"title": "SubmitTask"}
    assert schema.headers["content-type"] == "application/schema+json"
    assert "there are: task.submit.v1" in unknown.json()["detail"]
    assert outside.status_code == 404


async def test_the_documentation_can_be_left_out() -> None:
    gateway = Gateway(adapt=lambda services: replace(services, docs=False))
    async with gateway.client() as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/redoc")] == [404, 404]


async def test_the_documentation_is_read_without_another_host() -> None:
    async with Gateway().client() as client:
        for path in ("/docs", "/redoc"):
            page = (await client.get(path)).text
            named = re.findall(r'(?:src|href)="([^"]+)"', page)
            assert named
            answers = [await client.get(each) for each in named]
            assert [answer.status_code for answer in answers] == [200] * len(named)


async def test_pages_of_a_named_origin_may_call_and_others_not() -> None:
    origin = "https://console.example"
    gateway = Gateway(adapt=lambda services: replace(services, cors_origins=(origin,)))
    async with gateway.client() as client:
        named = await client.get("/v1/tasks/x", headers={"Origin": origin})
        other = await client.get("/v1/tasks/x", headers={"Origin": "https://evil.example"})
    assert named.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in other.headers


async def test_openapi_tells_the_truth_about_every_failure(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert {"TaskRequest", "Problem", "Violation", "TaskResource"} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    problem = Draft202012Validator({**schemas["Problem"], "components": document["components"]})
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert "default" in operation["responses"]
            for status, answer in operation["responses"].items():
                if status >= "400" and status != "default":
                    told = answer["content"]["application/problem+json"]
                    problem.validate(told["example"])
                    assert str(told["example"]["status"]) == status
    submit = document["paths"]["/v1/tasks"]["post"]["responses"]
    assert {"200", "202", "400", "406", "409", "413", "415", "422", "503"} <= set(submit)


async def test_openapi_says_in_which_media_type_each_answer_comes(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, asked in (("/metrics", "/metrics"), ("/schemas/{type}", "/schemas/task.submit.v1")):
        told = paths[path]["get"]["responses"]["200"]["content"]
        came = (await client.get(asked)).headers["content-type"].partition(";")[0]
        assert list(told) == [came]


async def test_the_examples_of_the_documentation_are_accepted(client: httpx.AsyncClient) -> None:
    for example in SUBMITS.values():
        answer = await client.post("/v1/tasks", json=example["value"])
        assert answer.status_code == 202


async def test_every_reference_of_the_openapi_document_leads_somewhere(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        place = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
