"""Requests that come when they are due, however slow the answers are, and what they carry."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


def payload(number: int | str, **more: object) -> bytes:
    """A message of 500 bytes."""
    return json.dumps(body(number, **more)).encode()


def body(number: int | str, **more: object) -> dict[str, object]:
    """What is 500 bytes as JSON."""
    content = {"i": number, **more, "pad": ""}
    content["pad"] = "x" * max(0, 500 - len(json.dumps(content)))
    return content


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds, from the moment a request was due."""

    p50: float
    p99: float
    failed: int = 0

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms{failed}"


async def open_loop(
    request: Callable[[int], Awaitable[None]], rate: float = 100, seconds: float = 10
) -> Latencies:
    """Send `rate` requests a second and take the time until each one's call returns.

    A request that has not returned a minute after the last was due counts as failed.
    """
    loop = asyncio.get_running_loop()
    took: list[float] = []
    failures: list[Exception] = []

    async def one(number: int, due: float) -> None:
        try:
            await request(number)
            took.append((loop.time() - due) * 1000)
        except Exception as error:  # noqa: BLE001  counted and shown
            failures.append(error)

    began = loop.time() + 0.1
    requests = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0, due - loop.time()))
        requests.append(asyncio.create_task(one(number, due)))
    _, late = await asyncio.wait(requests, timeout=60)
    for each in late:
        each.cancel()
    if not took:
        raise RuntimeError(f"no request was answered: {failures[:1]}")
    took.sort()
    failed = len(requests) - len(took)
    return Latencies(took[len(took) // 2], took[int(len(took) * 0.99)], failed)
