"""The published contract of the topics: the AsyncAPI document and each message's JSON Schema."""

from http import HTTPStatus
from importlib.abc import Traversable
from typing import Annotated

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.entrypoints.gateway import described
from app.entrypoints.gateway.conditional import conditional
from app.entrypoints.gateway.problems import Problem

_SCHEMA_JSON = "application/schema+json"
_CACHED = {"Cache-Control": "public, max-age=300"}


def add_contract_routes(app: FastAPI, contract: Traversable) -> None:
    """Serve `/asyncapi.json` and `/schemas/{type}`, read once at the start."""
    document = _read(contract / "asyncapi.json")
    schemas = _schemas(contract / "schemas")

    @app.get("/asyncapi.json", **described.ASYNCAPI)
    async def asyncapi(request: Request) -> Response:
        if document is None:
            raise _absent("no AsyncAPI document comes with this installation")
        return conditional(request, document, _CACHED)

    @app.get("/schemas/{type}", **described.SCHEMA)
    async def schema(request: Request, type: Annotated[str, described.TYPE]) -> Response:  # noqa: A002 - the contract's name
        known = schemas.get(type.removesuffix(".json"))
        if known is None:
            there_are = ", ".join(sorted(schemas)) or "none"
            raise _absent(f"no message is of type {type[:100]!r}; there are: {there_are}")
        return conditional(request, known, _CACHED, _SCHEMA_JSON)


def _read(file: Traversable) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _schemas(folder: Traversable) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {
        file.name.removesuffix(".json"): file.read_bytes()
        for file in folder.iterdir()
        if file.name.endswith(".json")
    }


def _absent(detail: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not-found", detail)
