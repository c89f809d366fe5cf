"""A query says one thing: nothing unknown is ignored, and nothing is said twice."""

from collections import Counter
from math import inf
from typing import get_origin

from annotated_types import MaxLen
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo
from starlette.requests import Request

from app.entrypoints.gateway.problems import Violation, invalid
from app.entrypoints.gateway.violations import unknown


async def unambiguous(request: Request) -> None:
    """Raise a 422 `Problem` for a parameter no route of ours reads, or for two where one counts.

    Probes and pages outside `/v1` may be asked with anything. A coroutine, though it never waits:
    FastAPI would have a thread for each request run a plain function.
    """
    route = request.scope["route"]
    if not request.query_params or not isinstance(route, APIRoute) or _outside(route):
        return
    models = [each.field_info.annotation for each in route.dependant.query_params]
    fields = {
        name: field
        for model in models
        for name, field in getattr(model, "model_fields", {}).items()
    }
    times = Counter(name for name, _ in request.query_params.multi_items())
    wrong = {} if models else {name: unknown(name, []) for name in times}  # a model says it itself
    for name, field in fields.items():
        if times[name] > 1 and get_origin(field.annotation) is not list:
            wrong[name] = "is given more than once"
        elif times[name] > (most := _most(field)):
            wrong[name] = f"is given {times[name]} times; {most} are the most"
    if wrong:
        raise invalid([Violation(parameter=name, detail=said) for name, said in wrong.items()])


def _most(field: FieldInfo) -> float:
    """How often a parameter may be repeated that may be."""
    return next((each.max_length for each in field.metadata if isinstance(each, MaxLen)), inf)


def _outside(route: APIRoute) -> bool:
    return not route.path.startswith("/v1/")
