"""Turns whatever is raised while serving into its problem document."""

from http import HTTPStatus
from typing import assert_never

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.domain.model.errors import PlatformError
from app.entrypoints.gateway.problems import Problem, invalid, of_platform_error, of_status
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import trace_id
from app.entrypoints.gateway.violations import in_query

_LONGEST_ECHO = 200
_Refusal = Problem | PlatformError | HTTPException | RequestValidationError


def answer_with_problems(app: FastAPI, services: GatewayServices) -> None:
    """Have an app answer every refusal with a problem document."""

    async def answer(request: Request, refusal: Exception) -> Response:
        if not isinstance(refusal, _Refusal):
            raise refusal
        quoted = trace_id(request.scope, services.current_trace_id)
        return _problem(app, request.scope, refusal).response(request.scope["path"], quoted)

    for kind in (Problem, PlatformError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def _problem(app: FastAPI, scope: Scope, refusal: _Refusal) -> Problem:
    match refusal:
        case Problem():
            return refusal
        case PlatformError():
            return of_platform_error(refusal)
        case RequestValidationError():
            found = refusal.errors()
            return invalid(in_query(found, _query_fields(scope)), len(found))
        case HTTPException():
            return _of_http(app, scope, refusal)
        case _:
            assert_never(refusal)


def _query_fields(scope: Scope) -> list[str]:
    """The names a query may hold, where the route describes its query by a model."""
    route = scope["route"]
    if not isinstance(route, APIRoute):
        return []
    models = [each.field_info.annotation for each in route.dependant.query_params]
    return [name for model in models for name in getattr(model, "model_fields", ())]


def _of_http(app: FastAPI, scope: Scope, refusal: HTTPException) -> Problem:
    path, method = scope["path"][:_LONGEST_ECHO], scope["method"]
    if refusal.status_code == HTTPStatus.NOT_FOUND:
        return of_status(HTTPStatus.NOT_FOUND, f"nothing is served at {path}")
    if refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(app, scope))
        detail = f"{method} is not possible at {path}; there is: {allowed}"
        return of_status(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": allowed})
    return of_status(refusal.status_code, refusal.detail, refusal.headers)


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """What can be done at a path, whichever of its routes does it.

    A path that has routes of its own is no id, even where another route would take it for one.
    """
    routes = [
        route
        for route in app.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    ]
    own = [route for route in routes if route.path == scope["path"]]
    found: set[str] = set()
    for route in own or routes:
        found |= route.methods or set()
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
