"""The events of a task, as a list and as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.events import Event, ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.progress import fold
from app.domain.model.task import Task
from app.entrypoints.gateway.event_stream import START, EventStream, GapFree, Position, position
from app.ports.status_store import StoreUnavailable, ViewUpdate
from tests.builders import completed, progressed, started, stepped, submitted, task_id, token
from tests.gateway_under_test import Gateway

PATH = f"/v1/tasks/{task_id()}/events"
AS_LIST = {"Accept": "application/json"}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


@dataclass
class Sent:
    id: str
    event: str
    data: dict[str, object]


def read(text: str) -> list[Sent]:
    """What a reader of server-sent events makes of a text."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.split("\n") if line[:1] not in {"", ":"}
        )
        if "data" in fields:
            found.append(Sent(fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def test_a_finished_task_is_told_whole(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.happen(submitted(), started(), stepped(sequence=2), completed(sequence=3))
    answer = await client.get(PATH)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text.startswith("retry: 1000\n\n")
    told = read(answer.text)
    assert [each.id for each in told] == ["1.1", "1.2", "1.3"]
    assert [each.event for each in told] == [
        "task.started.v1",
        "trace.step.v1",
        "task.completed.v1",
    ]
    assert [each.data["type"] for each in told] == [each.event for each in told]


async def test_a_reader_goes_on_where_it_was(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.happen(submitted(), started(), stepped(sequence=2), completed(sequence=3))
    by_header = await client.get(PATH, headers={"Last-Event-ID": "1.2"})
    by_query = await client.get(f"{PATH}?after=1.2")
    both = await client.get(f"{PATH}?after=1.1", headers={"Last-Event-ID": "1.2"})
    assert [each.id for each in read(by_header.text)] == ["1.3"]
    assert by_header.text == by_query.text == both.text


async def test_a_reader_that_has_all_is_told_not_to_come_back(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started(), completed())
    answer = await client.get(PATH, headers={"Last-Event-ID": "1.2"})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_the_list_holds_the_same_as_the_stream(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started(), token(text="ü\n\u2028"), completed(sequence=3))
    listed = (await client.get(PATH, headers=AS_LIST)).json()["items"]
    streamed = [each.data for each in read((await client.get(PATH)).text)]
    assert listed == streamed
    assert listed[1]["text"] == "ü\n\u2028"
    rest = await client.get(f"{PATH}?after=1.2", headers=AS_LIST)
    assert rest.json()["items"] == listed[2:]


@pytest.mark.parametrize(
    ("query", "headers", "place"),
    [
        ("", {"Last-Event-ID": "bad"}, "header"),
        ("", {"Last-Event-ID": "1"}, "header"),
        ("", {"Last-Event-ID": "1.2.3"}, "header"),
        ("", {"Last-Event-ID": "-1.2"}, "header"),
        ("", {"Last-Event-ID": "9999999999.1"}, "header"),
        ("?after=x", {}, "parameter"),
        ("?after=", {}, "parameter"),
        ("?aftr=1.1", {}, "parameter"),
    ],
)
async def test_a_position_that_is_none_is_refused(
    gateway: Gateway, client: httpx.AsyncClient, query: str, headers: dict[str, str], place: str
) -> None:
    await gateway.happen(submitted())
    answer = await client.get(f"{PATH}{query}", headers={**headers, **AS_LIST})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert place in answer.json()["errors"][0]


async def test_the_events_of_no_task_are_not_found(client: httpx.AsyncClient) -> None:
    for name in ("x", "6f1f0d5e-6b59-4d5c-9f0a-2f6a3c1f7a10"):
        answer = await client.get(f"/v1/tasks/{name}/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")


async def test_a_type_there_is_not_is_not_acceptable(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, headers={"Accept": "text/html"})
    assert answer.status_code == 406


async def test_a_stream_is_told_at_once_what_happens(gateway: Gateway) -> None:
    async with gateway.running(), asyncio.timeout(5):
        await gateway.happen(submitted())
        chunks = aiter(follow(gateway))
        assert await anext(chunks) == b"retry: 1000\n\n"
        for event in (started(), progressed(sequence=2), completed(sequence=3)):
            coming = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.01)
            await gateway.happen(event)
            told = read((await coming).decode())
            assert [each.event for each in told] == [event.TYPE]
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_a_silent_stream_says_that_it_lives(gateway: Gateway) -> None:
    async with gateway.running(), asyncio.timeout(5):
        await gateway.happen(submitted(), started())
        chunks = aiter(follow(gateway, after=(1, 1), heartbeat=0.05))
        heard = [await anext(chunks) for _ in range(3)]
    assert heard[1:] == [b": still here\n\n"] * 2


async def test_a_stream_ends_when_the_gateway_drains(gateway: Gateway) -> None:
    async with gateway.running(), asyncio.timeout(5):
        await gateway.happen(submitted(), started())
        chunks = aiter(follow(gateway, after=(1, 1)))
        await anext(chunks)
        coming = asyncio.ensure_future(anext(chunks, None))
        await asyncio.sleep(0.05)
        gateway.draining.begin()
        assert await coming is None


async def test_a_late_report_of_a_lost_run_is_no_end(gateway: Gateway) -> None:
    """The second attempt's ending came first in the log; the first one's stands before it."""
    async with gateway.running(), asyncio.timeout(5):
        await gateway.happen(
            submitted(), started(), started(attempt=2), completed(attempt=2), completed()
        )
        whole = b"".join([chunk async for chunk in follow(gateway)])
    assert [each.id for each in read(whole.decode())] == ["1.1", "1.2", "2.1", "2.2"]


async def test_what_comes_out_of_order_is_told_in_order(gateway: Gateway) -> None:
    """Results and traces are two topics; the views may have the one before the other."""
    async with asyncio.timeout(5):
        await save(gateway, started(), stepped(sequence=3), token(sequence=5))
        chunks = aiter(follow(gateway))
        assert await anext(chunks) == b"retry: 1000\n\n"
        assert ids(await anext(chunks)) == ["1.1"]
        coming = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0.05)
        await save(gateway, progressed(sequence=2), token(sequence=4))
        assert ids(await coming) == ["1.2", "1.3", "1.4", "1.5"]
        coming = asyncio.ensure_future(anext(chunks))
        await save(gateway, completed(sequence=7))
        await asyncio.sleep(0.05)
        assert not coming.done()
        await save(gateway, token(sequence=6))
        assert ids(await coming) == ["1.6", "1.7"]
        assert await anext(chunks, None) is None


async def test_a_trace_that_comes_after_the_end_is_told_before_it(gateway: Gateway) -> None:
    async with asyncio.timeout(5):
        await save(gateway, started(), completed(sequence=3))
        whole = asyncio.ensure_future(told(follow(gateway)))
        await asyncio.sleep(0.05)
        await save(gateway, token(sequence=2))
        assert await whole == ["1.1", "1.2", "1.3"]


async def test_a_gap_that_never_closes_is_passed(gateway: Gateway) -> None:
    await save(gateway, started(), token(sequence=3), completed(sequence=5))
    clock = asyncio.get_running_loop().time
    begun = clock()
    async with asyncio.timeout(5):
        assert await told(follow(gateway, patience=0.1)) == ["1.1", "1.3", "1.5"]
    assert 0.1 <= clock() - begun < 2


async def test_a_new_attempt_begins_at_one_whatever_its_number(gateway: Gateway) -> None:
    await save(gateway, started(), started(attempt=3), completed(attempt=3))
    async with asyncio.timeout(5):
        assert await told(follow(gateway)) == ["1.1", "3.1", "3.2"]


def test_a_later_gap_has_a_patience_of_its_own() -> None:
    order = GapFree(START, patience=2)
    first, late = token(sequence=2), token(sequence=4)
    assert order.ready([first], now=0) == []
    assert order.ready([first, late], now=1) == []
    assert order.ready([first, late], now=2) == [first]
    assert order.holding
    assert order.ready([late], now=3) == [late]
    assert not order.holding


def test_what_was_told_just_now_waits_longer_for_views_that_are_behind() -> None:
    now = datetime.now(UTC)
    order = GapFree(START, patience=2)
    began, words, end = (
        each.model_copy(update={"at": now}) for each in (started(), token(sequence=2), completed())
    )
    end = end.model_copy(update={"sequence": 3})
    assert order.ready([began, end], now=0) == [began]
    assert order.ready([end], now=10) == []
    assert order.ready([words, end], now=11) == [words, end]

    order = GapFree(START, patience=2)
    assert order.ready([end], now=0) == []
    assert order.ready([end], now=15) == [end]


def test_a_run_that_died_is_not_waited_for_longer() -> None:
    now = datetime.now(UTC)
    order = GapFree(START, patience=2)
    left, again = (
        each.model_copy(update={"at": now}) for each in (token(sequence=2), started(attempt=2))
    )
    assert order.ready([left, again], now=0) == []
    assert order.ready([left, again], now=2) == [left, again]


def test_only_event_ids_name_a_position() -> None:
    assert position("1.4") == (1, 4)
    assert [position(text) for text in ("", "1", "1.", "a.b", "1.2 ", "\u0661.\u0662")] == [
        None
    ] * 6


def follow(
    gateway: Gateway, after: Position = START, heartbeat: float = 10, patience: float = 60
) -> AsyncIterator[bytes]:
    stream = EventStream(gateway.store, gateway.waiters, gateway.draining, heartbeat, patience)
    return stream.follow(task_id(), after)


def ids(chunk: bytes) -> list[str]:
    return [each.id for each in read(chunk.decode())]


async def told(chunks: AsyncIterator[bytes]) -> list[str]:
    return ids(b"".join([chunk async for chunk in chunks]))


async def save(gateway: Gateway, *events: Event) -> None:
    """Let the views have these events in one update, with no projector in between."""
    progress = (await gateway.store.progress([task_id()])).get(task_id())
    for event in events:
        if isinstance(event, ResultEvent):
            progress = fold(progress, event, event.sequence)
    known = {task_id(): progress} if progress else {}
    await gateway.store.save(ViewUpdate([submitted()], known, events, before={}, after={}))


class Counted(MemoryStatusStore):
    """Counts how often it is asked, and how many of its answers are held at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def events(self, task_id: TaskId, after: tuple[int, int] = START) -> Sequence[Event]:
        self.asked += 1
        return await super().events(task_id, after)

    async def find(self, task_id: TaskId) -> Task | None:
        self.asked += 1
        return await super().find(task_id)


async def test_all_who_follow_one_task_cost_one_look() -> None:
    gateway = Gateway(store=Counted())
    assert isinstance(gateway.store, Counted)
    await save(gateway, started())
    stream = EventStream(gateway.store, gateway.waiters, gateway.draining, 10, 60)
    async with asyncio.timeout(60):
        readers = [aiter(stream.follow(task_id(), START)) for _ in range(500)]
        for reader in readers:
            assert await anext(reader) == b"retry: 1000\n\n"
        first = await asyncio.gather(*(anext(reader) for reader in readers))
        assert {*map(tuple, map(ids, first))} == {("1.1",)}
        coming = asyncio.gather(*(anext(reader) for reader in readers))
        await asyncio.sleep(0.1)
        gateway.store.asked = 0
        await asyncio.sleep(1)
        assert gateway.store.asked < 20
        await save(gateway, token(sequence=2), completed(sequence=3))
        assert {*map(tuple, map(ids, await coming))} == {("1.2", "1.3")}
        assert [await anext(reader, None) for reader in readers] == [None] * 500
        assert gateway.store.asked < 40


async def test_a_reader_that_is_far_behind_misses_nothing_and_holds_up_nobody() -> None:
    gateway = Gateway()
    stream = EventStream(gateway.store, gateway.waiters, gateway.draining, 10, 60)
    tokens = [token(sequence=n, text="x" * 9_000) for n in range(2, 200)]
    await save(gateway, started(), *tokens[:10])
    async with asyncio.timeout(60):
        slow, quick = (aiter(stream.follow(task_id(), START)) for _ in range(2))
        for reader in (slow, quick):
            await anext(reader)
        behind = [await anext(slow)]
        await save(gateway, *tokens[10:], completed(sequence=200))
        whole = b"".join([chunk async for chunk in quick])
        late = aiter(stream.follow(task_id(), (1, 150)))
        rest = b"".join([chunk async for chunk in late])
        behind += [chunk async for chunk in slow]
    assert ids(whole) == ids(b"".join(behind)) == [f"1.{n}" for n in range(1, 201)]
    assert ids(rest) == [f"1.{n}" for n in range(151, 201)]
    assert max(map(len, behind)) <= 64_000


async def test_a_failing_look_ends_every_stream_and_the_next_one_begins_anew() -> None:
    class Away(MemoryStatusStore):
        async def events(self, task_id: TaskId, after: tuple[int, int] = START) -> Sequence[Event]:
            raise StoreUnavailable("no database")

    gateway = Gateway(asked_store=Away())
    store = gateway.services.store
    stream = EventStream(store, gateway.waiters, gateway.draining, 10, 60)
    async with asyncio.timeout(10):
        for _ in range(2):
            readers = [aiter(stream.follow(task_id(), START)) for _ in range(3)]
            for reader in readers:
                await anext(reader)
            said = await asyncio.gather(*map(anext, readers), return_exceptions=True)
            assert [type(each) for each in said] == [StoreUnavailable] * 3


async def test_the_list_goes_on_page_by_page(gateway: Gateway, client: httpx.AsyncClient) -> None:
    sent = [token(sequence=n, text="x" * 9_000) for n in range(2, 300)]
    await gateway.happen(submitted(), started(), *sent, completed(sequence=300))
    path: str | None = PATH
    found, pages = [], 0
    while path:
        answer = await client.get(path, headers=AS_LIST)
        assert len(answer.content) < 1_200_000
        found += [each["id"] for each in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else None
        following = answer.json()["next_after"]
        assert (path is None) == (following is None)
        pages += 1
    assert found == [f"1.{n}" for n in range(1, 301)]
    assert pages > 1
