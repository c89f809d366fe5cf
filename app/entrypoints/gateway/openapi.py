"""Completes the OpenAPI document with the bodies that FastAPI does not read for us."""

from collections.abc import Callable
from typing import Any

from pydantic.json_schema import models_json_schema

from app.domain.model.commands import CancelRequest, TaskRequest
from app.entrypoints.gateway.letter_requests import (
    DiscardRequest,
    RedriveManyRequest,
    RedriveRequest,
    RetryRequest,
)
from app.entrypoints.gateway.problem_answers import every_answer
from app.entrypoints.gateway.problems import ProblemBody, Violation

_REF = "#/components/schemas/{model}"

DESCRIPTION = """\
Submit a task to an agent, then wait for it, poll it or follow its events.

Every failure is a problem document (RFC 9457, `application/problem+json`); a `code` never changes.
The same tasks can be submitted by producing to Kafka: see `/asyncapi.json`.
"""


def completed(generate: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """A generator whose document also holds the requests and the problems."""
    done: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not done:
            done.update(generate())
            components = done.setdefault("components", {})
            components.setdefault("schemas", {}).update(_schemas())
            components.setdefault("responses", {}).update(every_answer())
        return done

    return openapi


def _schemas() -> dict[str, Any]:
    _, found = models_json_schema(
        [
            (TaskRequest, "validation"),
            (CancelRequest, "validation"),
            (RedriveRequest, "validation"),
            (RetryRequest, "validation"),
            (DiscardRequest, "validation"),
            (RedriveManyRequest, "validation"),
            (ProblemBody, "serialization"),
            (Violation, "serialization"),
        ],
        ref_template=_REF,
    )
    schemas: dict[str, Any] = found["$defs"]
    schemas["Problem"] = schemas.pop("ProblemBody")
    return schemas
