"""An open-loop load: requests come when they are due, however slow the answers are."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


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
    """Send `rate` requests a second and take the time until each one's call returns."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    failed = 0

    async def one(number: int, due: float) -> None:
        nonlocal failed
        try:
            await request(number)
            took.append((loop.time() - due) * 1000)
        except Exception as error:  # noqa: BLE001  counted and shown
            failed += 1
            if failed == 1:
                print(f"a request failed: {error!r}")

    began = loop.time() + 0.1
    requests = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0, due - loop.time()))
        requests.append(asyncio.create_task(one(number, due)))
    await asyncio.wait(requests, timeout=60)
    took.sort()
    return Latencies(took[len(took) // 2], took[int(len(took) * 0.99)], failed)
