"""A query says one thing: nothing unknown is ignored, and nothing is said twice."""

from typing import get_origin

from fastapi.routing import APIRoute
from starlette.requests import Request

from app.entrypoints.gateway.problems import Violation, invalid
from app.entrypoints.gateway.violations import unknown


def unambiguous(request: Request) -> None:
    """Raise a 422 `Problem` for a parameter no route of ours reads, or for two where one counts.

    Probes and pages outside `/v1` may be asked with anything.
    """
    route = request.scope["route"]
    if not request.query_params or not isinstance(route, APIRoute) or _outside(route):
        return
    models = [each.field_info.annotation for each in route.dependant.query_params]
    fields = {
        name: field.annotation
        for model in models
        for name, field in getattr(model, "model_fields", {}).items()
    }
    names = [name for name, _ in request.query_params.multi_items()]
    wrong = {} if models else {name: unknown(name, []) for name in names}  # a model says it itself
    wrong |= {
        name: "is given more than once"
        for name, annotation in fields.items()
        if names.count(name) > 1 and get_origin(annotation) is not list
    }
    if wrong:
        raise invalid([Violation(parameter=name, detail=said) for name, said in wrong.items()])


def _outside(route: APIRoute) -> bool:
    return not route.path.startswith("/v1/")
