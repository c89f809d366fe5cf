"""Reading tasks and agents over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.domain.model.ids import uuid7
from tests.builders import T0, at, completed, input_required, started, submitted, task_id
from tests.gateway_under_test import Gateway


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


PATH = f"/v1/tasks/{task_id()}"


async def test_a_running_task_says_when_to_ask_again(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started())
    answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["state"]) == (200, "working")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-cache"


async def test_what_the_client_has_is_not_sent_again(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started())
    etag = (await client.get(PATH)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await client.get(PATH, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    await gateway.happen(completed())
    answer = await client.get(PATH, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["state"]) == (200, "completed")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("event", [completed(), input_required()])
async def test_waiting_ends_with_the_task_or_its_question(
    gateway: Gateway, client: httpx.AsyncClient, event: object
) -> None:
    await gateway.happen(submitted(), started())
    waiting = asyncio.create_task(client.get(PATH, headers={"Prefer": "wait=50"}))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await gateway.happen(event)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        answer = await waiting
    assert answer.json()["state"] in {"completed", "input-required"}
    assert answer.headers["preference-applied"] == "wait=50"


async def test_a_fresh_task_is_waited_for_before_it_is_unknown(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    fresh = uuid7(gateway.clock.now(), gateway.clock.entropy())
    asking = asyncio.create_task(client.get(f"/v1/tasks/{fresh}"))
    await asyncio.sleep(0.05)
    await gateway.happen(submitted(fresh))
    assert (await asking).json()["id"] == fresh


@pytest.mark.parametrize("name", ["x", "%00", "'; drop table", uuid7(T0, b"0123456789")])
async def test_a_task_nobody_heard_of_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/v1/tasks/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")


async def test_an_id_has_more_than_one_spelling(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted())
    assert (await client.get(PATH.upper().replace("/V1/TASKS", "/v1/tasks"))).status_code == 200


async def test_pages_follow_each_other_newest_first(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    names = [f"t-{number}" for number in range(5)]
    await gateway.happen(*(submitted(name, labels={"team": "web"}) for name in names))
    path: str | None = "/v1/tasks?limit=2&label=team:web"
    pages = []
    while path:
        answer = await client.get(path)
        pages.append([task["id"] for task in answer.json()["items"]])
        links = answer.links
        assert ("next" in links) == (answer.json()["next_cursor"] is not None)
        path = links["next"]["url"] if "next" in links else None
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {each for page in pages for each in page} == {task_id(name) for name in names}


async def test_a_list_is_filtered_by_what_is_asked(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(
        submitted("t-1", context_id="c", labels={"a": "1", "b": "x:y"}),
        submitted("t-2", labels={"a": "1"}),
        started("t-2"),
    )

    async def found(query: str) -> set[str]:
        answer = await client.get(f"/v1/tasks?{query}")
        assert answer.status_code == 200
        return {task["id"] for task in answer.json()["items"]}

    one, two = task_id("t-1"), task_id("t-2")
    assert await found("") == {one, two}
    assert await found("state=working") == {two}
    assert await found("context_id=c") == {one}
    assert await found("label=a:1") == {one, two}
    assert await found("label=a:1&label=b:x:y") == {one}
    assert await found("agent=nobody") == set()


async def test_head_is_get_without_the_body(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.happen(submitted())
    for path in (PATH, "/v1/tasks", "/v1/agents", "/health", "/metrics", f"{PATH}/events"):
        answer = await client.head(path)
        assert answer.status_code == 200


async def test_agents_say_what_they_take_and_give(client: httpx.AsyncClient) -> None:
    everyone = await client.get("/v1/agents")
    one = await client.get("/v1/agents/business-analyst")
    assert everyone.json() == {"items": [one.json()]}
    assert one.json()["input_schema"]["type"] == ["string", "object"]
    assert one.json()["runtimes"] == ["rules"]
    assert one.json()["capabilities"] == ["requirements"]
    known = {"If-None-Match": one.headers["etag"]}
    assert (await client.get("/v1/agents/business-analyst", headers=known)).status_code == 304
    unknown = await client.get("/v1/agents/x")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-agent")


async def test_times_are_rfc_3339_with_milliseconds(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started(), completed())
    task = (await client.get(PATH)).json()
    assert task["finished_at"] == at(4).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_lists_leave_out_what_may_be_large(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(input="x" * 5_000), started(), completed(output="y" * 5_000))
    [listed] = (await client.get("/v1/tasks")).json()["items"]
    whole = (await client.get(PATH)).json()
    assert whole.keys() - listed.keys() == {"input", "parameters", "result"}
    assert {name: whole[name] for name in listed} == listed


async def test_a_list_is_narrowed_by_states_and_times(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(
        *(submitted(f"t-{n}", after=n) for n in range(4)), started("t-1"), completed("t-2")
    )

    async def found(query: str) -> list[str]:
        answer = await client.get(f"/v1/tasks?{query}")
        assert answer.status_code == 200, answer.text
        listed = [task["id"] for task in answer.json()["items"]]
        return [name for name in ("t-3", "t-2", "t-1", "t-0") if task_id(name) in listed]

    assert await found("state=working,completed") == ["t-2", "t-1"]
    assert await found("state=working&state=completed&state=working") == ["t-2", "t-1"]
    assert await found("created_after=2026-01-01T00:00:01Z") == ["t-3", "t-2"]
    assert await found("created_before=2026-01-01T01:00:01%2B01:00") == ["t-0"]
    between = "created_after=2026-01-01T00:00:00Z&created_before=2026-01-01T00:00:03.000Z"
    assert await found(between) == ["t-2", "t-1"]
    first = await client.get(f"/v1/tasks?{between}&limit=1&state=working,completed")
    [task] = first.json()["items"]
    following = (await client.get(first.links["next"]["url"])).json()
    assert task["id"] == task_id("t-2")
    assert [task["id"] for task in following["items"]] == [task_id("t-1")]
    assert following["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("state=", "state"),
        ("state=working,", "state"),
        ("state=working,done", "state"),
        ("state=working&state=Done", "state"),
        ("created_after=yesterday", "created_after"),
        ("created_before=5", "created_before"),
        ("created_after=2026-01-01T00:00Z&created_after=2026-01-02T00:00Z", "created_after"),
    ],
)
async def test_a_wish_that_is_none_is_refused(
    client: httpx.AsyncClient, query: str, parameter: str
) -> None:
    answer = await client.get(f"/v1/tasks?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert {each["parameter"] for each in answer.json()["errors"]} == {parameter}


@pytest.mark.parametrize(
    "moment",
    ["ffffffff-ffff", "e677d21f-dc00", "e677d21f-dbff", "00000000-0000", "ffffffff-0000"],
)
async def test_an_id_of_any_year_is_an_id(
    gateway: Gateway, client: httpx.AsyncClient, moment: str
) -> None:
    """A UUIDv7 has room for the years up to 10889; e677d21fdbff is the last moment of 9999."""
    asked = f"{moment}-7fff-bfff-fffffffffffe"
    for answer in (
        await client.get(f"/v1/tasks/{asked}"),
        await client.get(f"/v1/tasks/{asked}", headers={"Prefer": "wait=0"}),
        await client.get(f"/v1/tasks/{asked}/events"),
        await client.post(f"/v1/tasks/{asked}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")
    body = {"agent": "business-analyst", "input": "x", "id": asked}
    assert (await client.post("/v1/tasks", json=body)).status_code == 202
    await gateway.happen(started(asked), completed(asked))
    assert (await client.get(f"/v1/tasks/{asked}")).json()["state"] == "completed"
    assert (await client.get(f"/v1/tasks/{asked}/events")).status_code == 200
    assert (await client.post(f"/v1/tasks/{asked}/cancel")).status_code == 409


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]
)
async def test_the_ends_of_time_can_be_asked_for(
    gateway: Gateway, client: httpx.AsyncClient, moment: str
) -> None:
    body = {"agent": "business-analyst", "input": "x", "expires_at": moment, "not_before": moment}
    answer = await client.post("/v1/tasks", json=body)
    assert answer.status_code == 202
    assert (await client.get(answer.headers["location"])).status_code == 200
    for name in ("since", "until"):
        assert (await client.get(f"/v1/dead-letters?{name}={moment}")).status_code == 200


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_times_beyond_the_ends_of_time_are_refused(
    client: httpx.AsyncClient, moment: str
) -> None:
    for name in ("expires_at", "not_before"):
        body = {"agent": "business-analyst", "input": "x", name: moment}
        answer = await client.post("/v1/tasks", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")
    answer = await client.get("/v1/dead-letters", params={"since": moment})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "since")
