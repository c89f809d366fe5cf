"""What the hostile load does to a fleet: each attack is one round, told apart by its name."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

import httpx

from tests.e2e.outside import Outside

Attack = Callable[[Outside], Awaitable[None]]
_JSON = {"Content-Type": "application/json"}


async def long_preference(user: Outside) -> None:
    await _refused(user, headers={"Prefer": 'wait="' + '\\"' * 30_000})


async def names_told_twice(user: Outside) -> None:
    names = ",".join(f'"field{number}": 1' for number in range(18_000))
    await _refused(user, content=f'{{{names},"x": 1,"x": 2}}')


async def unknown_fields(user: Outside) -> None:
    fields = {f"field{number}": 1 for number in range(46_000)}
    await _refused(user, content=json.dumps({"agent": "sleeper", "input": "x", **fields}))


async def deep_json(user: Outside) -> None:
    await _refused(user, content='{"agent":' * 50_000)


async def many_labels(user: Outside) -> None:
    answer = await user.http.get("/v1/tasks", params=[("label", f"a:{n}") for n in range(2_000)])
    assert 400 <= answer.status_code < 500, answer.status_code


async def slow_pattern(user: Outside) -> None:
    await _refused(user, content=json.dumps({"agent": "picky", "input": "a" * 40 + "!"}))


async def another_site(user: Outside) -> None:
    answer = await user.http.post(
        "/v1/dead-letters/redrive", headers={"Origin": "https://elsewhere.example"}
    )
    assert answer.status_code == 403, answer.status_code


async def words_that_repeat(user: Outside) -> None:
    for text in ("$1 " * 6_000, "no " * 6_000):
        await _submit(user, "business-analyst", text)


async def texts_that_look_like_secrets(user: Outside) -> None:
    await _submit(user, "breaking", "x")


async def large_results(user: Outside) -> None:
    for _ in range(3):
        await _submit(user, "much", "x", characters=400_000)
    (await user.http.get("/v1/tasks", params={"limit": "50"})).raise_for_status()


async def readers_that_never_read(user: Outside) -> None:
    """Ask for all events of a large task six times, and leave the answers where they are."""
    task_id = await _submit(user, "much", "x", characters=400_000)
    if task_id is None:
        return
    head = f"GET /v1/tasks/{task_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writers = [await _connect(user, f"{head}Accept: text/event-stream\r\n\r\n") for _ in range(6)]
    await asyncio.sleep(5)
    _close(writers)


async def idle_streams(user: Outside) -> None:
    """Follow one task two hundred times over."""
    task_id = await _submit(user, "sleeper", "x", seconds=20)
    if task_id is None:
        return
    head = f"GET /v1/tasks/{task_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writers = await asyncio.gather(
        *(_connect(user, f"{head}Accept: text/event-stream\r\n\r\n") for _ in range(200))
    )
    await asyncio.sleep(10)
    _close(writers)


async def slow_heads(user: Outside) -> None:
    """Begin a hundred requests and send a byte of each now and then."""
    writers = [await _connect(user, "GET /v1/tasks HT") for _ in range(100)]
    for _ in range(10):
        for writer in writers:
            with suppress(OSError):
                writer.write(b"x")
        await asyncio.sleep(0.5)
    _close(writers)


async def backlog_of_another_agent(user: Outside) -> None:
    """Fill one agent's topic with work and with what is none; another's task must not wait."""
    for number in range(600):
        value = b'{"input": "x"}' if number % 3 == 0 else secrets.token_bytes(40)
        await user.producer.send(f"{user.fleet.prefix}.commands.sleeper", value)
    task_id = await _submit(user, "developer", "a table of customers")
    if task_id is not None:
        await user.ended(task_id, within=60)


async def _refused(
    user: Outside, headers: Mapping[str, str] = MappingProxyType({}), content: str = ""
) -> None:
    body = content or json.dumps({"agent": "sleeper", "input": "x"})
    try:
        answer = await user.http.post("/v1/tasks", headers={**_JSON, **headers}, content=body)
    except httpx.TransportError:
        return  # a head that is too large may cost the connection
    assert 400 <= answer.status_code < 500, answer.status_code
    assert len(answer.content) < 100_000, len(answer.content)


async def _submit(user: Outside, agent: str, text: str, **parameters: object) -> str | None:
    """Hand a task in; None where the gateway says that there is too much to do."""
    body = {"agent": agent, "input": text, "parameters": parameters}
    answer = await user.http.post("/v1/tasks", json=body)
    if answer.status_code in {429, 503}:
        return None
    assert answer.status_code == 202, answer.text[:500]
    return str(answer.json()["id"])


async def _connect(user: Outside, request: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", user.fleet.port, limit=1_024)
    writer.write(request.encode())
    return writer


def _close(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.transport.abort()


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        attack.__name__: attack
        for attack in (
            long_preference,
            names_told_twice,
            unknown_fields,
            deep_json,
            many_labels,
            slow_pattern,
            another_site,
            words_that_repeat,
            texts_that_look_like_secrets,
            large_results,
            readers_that_never_read,
            idle_streams,
            slow_heads,
            backlog_of_another_agent,
        )
    }
)
