"""Examples for the OpenAPI document; the tests send the requests among them."""

from typing import Any

SUBMITS: dict[str, Any] = {
    "shortest": {
        "summary": "As short as it gets",
        "value": {"agent": "business-analyst", "input": "Requirements for a library's web site"},
    },
    "full": {
        "summary": "With what may be said besides",
        "value": {
            "agent": "business-analyst",
            "input": {"query": "Requirements for a library's web site"},
            "parameters": {"depth": "brief"},
            "context_id": "library-42",
            "timeout_seconds": 120,
            "runtime": "rules",
            "labels": {"team": "web"},
        },
    },
}

EVENTS_AS_STREAM = """\
retry: 1000

id: 1.1
event: task.started.v1
data: {"id":"1.1","type":"task.started.v1","task_id":"0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f",\
"agent":"business-analyst","attempt":1,"sequence":1,"at":"2026-01-01T00:00:00.000Z",\
"worker_id":"worker-0","runtime":"rules","model":null}

"""
