"""A crowd of requests leaves room for probes, and each of it has its turn."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from app.entrypoints.http_server import TakingTurns


class Crowd:
    """An application that notes who began, and the requests that are made of it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.app = TakingTurns(self._app)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])

    def ask(self, path: str) -> "asyncio.Task[None]":
        return asyncio.create_task(self._ask(path))

    async def _ask(self, path: str) -> None:
        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            pass

        await self.app({"type": "http", "path": path}, receive, send)


async def test_a_probe_does_not_wait_for_a_crowd_that_came_before_it() -> None:
    crowd = Crowd()
    waiting = [crowd.ask(f"/v1/tasks/{number}/events") for number in range(1_000)]
    await crowd.ask("/livez")
    assert crowd.begun.index("/livez") < 20
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    others = [path for path in crowd.begun if path != "/livez"]
    assert others == [f"/v1/tasks/{number}/events" for number in range(1_000)]


async def test_whoever_leaves_the_crowd_takes_no_turn() -> None:
    crowd = Crowd()
    waiting = [crowd.ask(str(number)) for number in range(100)]
    await asyncio.sleep(0)
    for each in waiting[50:90]:
        each.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert crowd.begun == [str(number) for number in (*range(50), *range(90, 100))]


async def test_a_request_alone_begins_at_once() -> None:
    crowd = Crowd()
    for number in range(10):
        await crowd.ask(str(number))
        assert crowd.begun[-1] == str(number)
