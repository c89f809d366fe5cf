"""A gateway that plays a script over real HTTP, for tests of what its clients do.

Each task's id says what becomes of it; what was handed in comes back in the task.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

DONE = "00000000-0000-7000-8000-00000000d07e"
FAILED = "00000000-0000-7000-8000-00000000fa11"
RUNNING = "00000000-0000-7000-8000-000000000000"
SOON = "00000000-0000-7000-8000-000000000500"
ASKING = "00000000-0000-7000-8000-00000000a54e"
SEVERAL = "00000000-0000-7000-8000-00000000f11e"
NASTY = "00000000-0000-7000-8000-000000004a57"
HOSTILE = "00000000-0000-7000-8000-000000005c1e"
UNSEEN = "00000000-0000-7000-8000-000000005ee4"
REPORT = "# Findings\n\n* one\n* two\u2028still two\n"

EVENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("1.1", "task.started.v1", {"runtime": "rules", "worker_id": "mill-0"}),
    ("1.2", "task.progressed.v1", {"message": "half\u2028way", "progress": 0.5}),
    ("1.3", "trace.token.v1", {"text": "Hel"}),
    ("1.4", "trace.token.v1", {"text": "lo"}),
    ("1.5", "task.completed.v1", {"result": {"output": "Hello"}}),
]


def task(task_id: str, state: str = "submitted", **fields: Any) -> dict[str, Any]:
    return {
        "id": task_id,
        "agent": "scribe",
        "state": state,
        "reason": None,
        "status_message": None,
        "result": None,
        "error": None,
        "input_request": None,
        "usage": {"input_tokens": 900, "output_tokens": 120, "cost_usd": 0.0123},
        "created_at": "2026-01-01T00:00:00.000Z",
        **fields,
    }


def _artifact(name: str, content: str, media_type: str = "text/markdown") -> dict[str, str]:
    return {"name": name, "media_type": media_type, "content": content}


UNSEEN_SIGNS = "\x1b]0;o\x07\x9b31m\x85\u202egnp.exe\u2066\u200f\u061c\u2028\ufeff\U000e0041"
"""Controls, what turns the direction of a text, what is not seen."""

FINISHED = {
    DONE: task(
        DONE,
        "completed",
        result={"output": "Two findings.", "artifacts": [_artifact("docs/report.md", REPORT)]},
    ),
    SEVERAL: task(
        SEVERAL,
        "completed",
        result={"output": {"files": 2}, "artifacts": [_artifact("a.md", "A"), _artifact("b", "B")]},
    ),
    FAILED: task(
        FAILED,
        "failed",
        error={"code": "model-refused", "message": "the model said\nno", "retryable": False},
    ),
    ASKING: task(ASKING, "input-required", input_request={"prompt": "Delete it all?"}),
    HOSTILE: task(
        HOSTILE,
        "completed",
        agent=f"scribe{UNSEEN_SIGNS}",
        status_message=f"done{UNSEEN_SIGNS}",
        result={
            "output": {f"key{UNSEEN_SIGNS}": f"Grüße{UNSEEN_SIGNS}"},
            "artifacts": [_artifact(f"re{UNSEEN_SIGNS}port.md", f"Grüße{UNSEEN_SIGNS}")],
        },
    ),
    NASTY: task(
        NASTY,
        "completed",
        result={
            "output": "plain \x1b]0;owned\x07 [bold]text[/bold]",
            "artifacts": [
                _artifact("../../escape.txt", "1", "text/plain"),
                _artifact("/etc/escape.txt", "2", "text/plain"),
                _artifact("C:\\windows\\escape.txt", "3", "text/plain"),
                _artifact("..", "4", "text/plain"),
                _artifact("link/escape.txt", "5", "text/plain"),
            ],
        },
    ),
}


class Script:
    """What has been asked of it so far."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.resumed_after: list[str | None] = []
        self.canceled: set[str] = set()

    async def submit(self, request: Request) -> Response:
        body = await request.json()
        if body["agent"] == "nobody":
            detail = "no agent is called 'nobody'; there are: scribe"
            return problem(422, "unknown-agent", detail)
        if body["agent"] == "sleeper":
            return problem(503, "log-unavailable", "the broker\nis away", {"Retry-After": "7"})
        made = task(body.get("id") or SOON, asked=body, key=request.headers.get("idempotency-key"))
        return JSONResponse(made, 202)

    async def find(self, request: Request) -> Response:
        task_id = request.path_params["id"]
        self.seen[task_id] += 1
        if task_id in self.canceled:
            return JSONResponse(task(task_id, "canceled"))
        if found := FINISHED.get(task_id):
            return JSONResponse(found)
        if task_id == RUNNING:
            if "prefer" in request.headers:
                await asyncio.sleep(0.2)
            return JSONResponse(task(RUNNING, "working", status_message="reading page 3"))
        if task_id == SOON:
            state = "completed" if self.seen[SOON] >= 3 else "working"
            result = {"output": {"words": 2}, "artifacts": []} if state == "completed" else None
            return JSONResponse(task(SOON, state, result=result))
        if task_id == UNSEEN:
            if self.seen[UNSEEN] >= 3:
                return JSONResponse(task(UNSEEN, "completed", result={"output": "Hello"}))
            return problem(503, "views-behind", "it may exist", {"Retry-After": "1"})
        return problem(404, "unknown-task", f"no task {task_id} is known")

    async def cancel(self, request: Request) -> Response:
        task_id = request.path_params["id"]
        if task_id in (RUNNING, SOON):
            return JSONResponse(task(task_id, reason="canceling", asked=await request.json()), 202)
        if task_id == ASKING:
            self.canceled.add(ASKING)
            return JSONResponse(task(ASKING, "input-required", reason="canceling"), 202)
        return problem(409, "task-ended", f"task {task_id} has ended: it is completed")

    async def events(self, request: Request) -> Response:
        after = request.headers.get("last-event-id")
        self.resumed_after.append(after)
        begun = [event[0] for event in EVENTS].index(after) + 1 if after else 0
        endless = request.path_params["id"] == RUNNING

        async def stream() -> AsyncIterator[bytes]:
            yield b": hello\r\n\r\n"
            for number, (event_id, kind, data) in enumerate(EVENTS[begun:]):
                if endless and number == 2:
                    await asyncio.sleep(60)
                if not after and number == 2:
                    return  # the connection breaks here, once
                body = JSONResponse(
                    {"id": event_id, "type": kind, "at": "2026-01-01T10:20:30.400Z", **data}
                ).body
                yield f"id: {event_id}\r\nevent: {kind}\r\ndata: ".encode() + bytes(body)
                yield b"\r\n\r\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def list(self, request: Request) -> Response:
        query = request.query_params
        if query.get("state") == "odd":
            return problem(422, "invalid", "state: 'odd' is none")
        limit, start = int(query["limit"]), int(query.get("cursor", 0))
        ids = [f"{number:08d}-0000-7000-8000-000000000000" for number in range(250)]
        labels = dict(label.split(":", 1) for label in query.getlist("label"))
        items = [task(each, labels=labels) for each in ids[start : start + limit]]
        following = start + limit
        return JSONResponse(
            {"items": items, "next_cursor": str(following) if following < 250 else None}
        )

    async def agents(self, _: Request) -> Response:
        return JSONResponse({"items": [AGENT]})

    async def agent(self, request: Request) -> Response:
        if request.path_params["name"] != "scribe":
            return problem(404, "unknown-agent", "no agent is called that; there are: scribe")
        return JSONResponse(AGENT)


AGENT = {
    "name": "scribe",
    "description": "Writes what others found.",
    "capabilities": ["documentation"],
    "input_schema": {"type": "string"},
    "output_schema": {},
    "runtimes": ["rules", "crewai"],
    "links": {"self": "/v1/agents/scribe"},
}


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The script behind a free port of this machine; its address."""
    routes = [
        Route("/v1/tasks", script.submit, methods=["POST"]),
        Route("/v1/tasks", script.list),
        Route("/v1/tasks/{id}", script.find),
        Route("/v1/tasks/{id}/cancel", script.cancel, methods=["POST"]),
        Route("/v1/tasks/{id}/events", script.events),
        Route("/v1/agents", script.agents),
        Route("/v1/agents/{name}", script.agent),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=0,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the scripted gateway did not start")
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
