"""What OpenAPI says about each operation, beside the code that does it."""

from collections.abc import Mapping
from typing import Any

from fastapi import Path
from starlette.responses import Response

from app.entrypoints.gateway.event_stream import POSITION
from app.entrypoints.gateway.example_answers import EVENTS_AS_STREAM, SUBMITS
from app.entrypoints.gateway.fleet_resources import WorkerList
from app.entrypoints.gateway.negotiation import EVENT_STREAM, JSON
from app.entrypoints.gateway.problem_answers import answer, answers
from app.entrypoints.gateway.reading import IDEMPOTENCY_KEY
from app.entrypoints.gateway.resources import (
    AgentList,
    AgentResource,
    EventList,
    Health,
    Readiness,
    TaskList,
    TaskResource,
)

Described = dict[str, Any]
"""Keyword arguments of a FastAPI route."""

TASK_ID: Any = Path(description="The task's UUID.")
AGENT_NAME: Any = Path(description="The agent's name.", examples=["business-analyst"])
TYPE: Any = Path(description="The type of a message.", examples=["task.submit.v1"])

_TEXT = {"type": "string"}
_RETRY_AFTER = {"description": "Seconds after which to ask again.", "schema": {"type": "integer"}}
_APPLIED = {"description": "The wait that was honoured, as `wait=N`.", "schema": _TEXT}
_ETAG = {"description": "Send it as `If-None-Match` next time.", "schema": _TEXT}
_LOCATION = {"description": "The task's own path.", "schema": _TEXT}
LINK = {"description": 'The next page, as `<path>; rel="next"`.', "schema": _TEXT}


def _header(
    name: str, description: str, example: str, pattern: str | None = None
) -> Mapping[str, Any]:
    text = {"name": name, "in": "header", "required": False, "description": description}
    schema = {**_TEXT, "pattern": pattern} if pattern else _TEXT
    return {**text, "schema": schema, "example": example}


_PREFER = _header(
    "Prefer",
    "`wait=N` holds the answer back until the task has ended or asks for input, N seconds at "
    "most. What cannot be read is ignored.",
    "wait=5",
)
IF_NONE_MATCH = _header("If-None-Match", "The ETag of what is known already.", '"4f3c"')
NOT_MODIFIED = {304: {"description": "What you have is what there is."}}

SUBMIT: Described = {
    "tags": ["tasks"],
    "summary": "Submit a task",
    "description": "`202` means that the broker has the task for good. `200` comes with "
    "`Prefer: wait=N` only, for a task that has ended in time.",
    "status_code": 202,
    "response_model": TaskResource,
    "responses": {
        202: {
            "description": "The task, accepted.",
            "headers": {
                "Location": _LOCATION,
                "Retry-After": _RETRY_AFTER,
                "Preference-Applied": _APPLIED,
            },
        },
        200: {
            "description": "The task, ended.",
            "model": TaskResource,
            "headers": {"Location": _LOCATION, "Preference-Applied": _APPLIED},
        },
        **answers(400, 406, 408, 409, 413, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "parameters": [
            _header(
                "Idempotency-Key",
                "Makes a repeat safe: the same key and body give the task that came of the first.",
                "order-4711",
                IDEMPOTENCY_KEY,
            ),
            _PREFER,
            _header(
                "traceparent",
                "W3C trace context; the task becomes part of that trace.",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/TaskRequest"}, "examples": SUBMITS}
            },
        },
    },
}

READ: Described = {
    "tags": ["tasks"],
    "summary": "Read a task",
    "description": "An accepted task is never `404`: while the views have not read of it, the "
    "gateway that accepted it says so (`reason: accepted`), and every other one answers "
    "`503 views-behind`.",
    "response_model": TaskResource,
    "responses": {
        200: {
            "description": "The task as it stands.",
            "headers": {
                "ETag": _ETAG,
                "Retry-After": _RETRY_AFTER,
                "Preference-Applied": _APPLIED,
            },
        },
        **NOT_MODIFIED,
        **answers(404, 406, 503),
    },
    "openapi_extra": {"parameters": [_PREFER, IF_NONE_MATCH]},
}

LIST: Described = {
    "tags": ["tasks"],
    "summary": "List tasks, newest first",
    "description": "Without `input`, `parameters` and `result`, which a task's own path gives; "
    "long texts are cut.",
    "response_model": TaskList,
    "responses": {
        200: {"description": "One page.", "headers": {"Link": LINK}},
        **answers(406, 422, 503),
    },
}

_ENDED = (
    "The task has ended.",
    "task-ended",
    "task 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f has ended: it is completed",
    False,
)
CANCEL: Described = {
    "tags": ["tasks"],
    "summary": "Cancel a task",
    "description": "`202` means that every worker will hear of it. The task says `canceling` until "
    "its work has stopped; it may still end otherwise. Asking again is harmless. "
    "It needs no views: while they are behind any id is taken, and the answer may know no more.",
    "status_code": 202,
    "response_model": TaskResource,
    "responses": {
        202: {
            "description": "The task, which is being stopped.",
            "headers": {"Retry-After": _RETRY_AFTER},
        },
        **answers(400, 404, 406, 408, 413, 415, 422, 503),
        409: answer(409, _ENDED),
    },
    "openapi_extra": {
        "requestBody": {
            "required": False,
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/CancelRequest"},
                    "example": {"reason": "changed my mind"},
                }
            },
        },
    },
}

_NOT_FAILED = (
    "The task has not ended, or has ended well.",
    "task-not-failed",
    "task 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f is completed; what failed, was canceled or was "
    "rejected can be run again",
    False,
)
RETRY: Described = {
    "tags": ["tasks"],
    "summary": "Run a task again",
    "description": "For a task that failed, was canceled or was rejected, with a dead letter or "
    "without one. It stays the same task: its next run is another attempt, with a budget of its "
    "own, and what was asked of it before, as a cancel, holds no longer. A repeat causes no other "
    "run.",
    "status_code": 202,
    "response_model": TaskResource,
    "responses": {
        202: {
            "description": "The task, which waits for its next run.",
            "headers": {"Retry-After": _RETRY_AFTER},
        },
        **answers(400, 404, 406, 408, 413, 415, 422, 503),
        409: answer(409, _NOT_FAILED),
    },
    "openapi_extra": {
        "requestBody": {
            "required": False,
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/RetryRequest"},
                    "example": {"by": "ada"},
                }
            },
        },
    },
}

EVENTS: Described = {
    "tags": ["tasks"],
    "summary": "Follow a task",
    "description": "A stream of server-sent events, from the first or from behind "
    "`Last-Event-ID`, that ends after the terminal event. With `Accept: application/json`, the "
    "list so far, in pages of about a megabyte: `next_after` leads on.",
    "response_model": EventList,
    "responses": {
        200: {
            "description": "The events, in order.",
            "content": {EVENT_STREAM: {"schema": _TEXT, "example": EVENTS_AS_STREAM}},
        },
        204: {"description": "The task has ended and nothing follows; do not reconnect."},
        **answers(404, 406, 422, 503),
    },
    "openapi_extra": {
        "parameters": [
            _header(
                "Last-Event-ID",
                "Id of the last event already known; empty is none.",
                "1.4",
                rf"^$|{POSITION}",
            )
        ]
    },
}

AGENTS: Described = {
    "tags": ["agents"],
    "summary": "List the agents",
    "response_model": AgentList,
    "responses": {**NOT_MODIFIED, **answers(406)},
    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
}
AGENT: Described = {
    "tags": ["agents"],
    "summary": "Read one agent",
    "response_model": AgentResource,
    "responses": {**NOT_MODIFIED, **answers(404, 406)},
    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
}

WORKERS: Described = {
    "tags": ["workers"],
    "summary": "List the workers",
    "description": "Each by its last heartbeat. While the broker is away this is what was known "
    "before, and `as_of` says since when.",
    "response_model": WorkerList,
    "responses": answers(406),
}

_ALIVE = {"tags": ["operations"], "response_model": Health, "responses": answers()}
HEALTH: Described = {**_ALIVE, "summary": "Does the process live"}
LIVE: Described = {**_ALIVE, "summary": "Does the process live (for Kubernetes)"}
READY: Described = {
    "tags": ["operations"],
    "summary": "Does everything answer that tasks need",
    "response_model": Readiness,
    "responses": answers(503),
}
METRICS: Described = {
    "tags": ["operations"],
    "summary": "Metrics for Prometheus",
    "response_class": Response,
    "response_model": None,
    "responses": {
        200: {"description": "OpenMetrics or Prometheus text.", "content": {"text/plain": {}}},
        **answers(),
    },
}

_JSON_SCHEMA = {"application/schema+json": {"schema": {"type": "object"}}}
ASYNCAPI: Described = {
    "tags": ["contract"],
    "summary": "The topics, as an AsyncAPI document",
    "response_model": dict[str, Any],
    "responses": {**NOT_MODIFIED, **answers(404)},
    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
}
SCHEMA: Described = {
    "tags": ["contract"],
    "summary": "The JSON Schema of one message type",
    "response_class": Response,
    "response_model": None,
    "responses": {
        200: {"description": "A JSON Schema.", "content": _JSON_SCHEMA},
        **NOT_MODIFIED,
        **answers(404),
    },
    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
}
