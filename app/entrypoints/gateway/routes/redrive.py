"""Send dead letters' messages again, or put them away."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.errors import InvalidInput
from app.entrypoints.gateway import described_letters as described
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.letter_requests import (
    DiscardRequest,
    RedriveManyRequest,
    RedriveRequest,
)
from app.entrypoints.gateway.letter_resources import ManyRedriven
from app.entrypoints.gateway.metrics import UNTIMED, GatewayMetrics
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.problems import Violation, invalid
from app.entrypoints.gateway.reading import read_optional
from app.entrypoints.gateway.routes.dead_letters import broken_cursor, known_id, shown
from app.entrypoints.gateway.services import GatewayServices

_FRESH = {"Cache-Control": "no-store"}


def add_redrive_routes(
    app: FastAPI, services: GatewayServices, draining: Draining, metrics: GatewayMetrics
) -> None:
    """Serve every `POST` below `/v1/dead-letters`."""
    letters = services.letters

    @app.post("/v1/dead-letters/redrive", **described.REDRIVE_MANY)
    async def redrive_many(request: Request) -> Response:
        chosen(request)
        asked = await read_optional(request, RedriveManyRequest)
        request.scope[UNTIMED] = True
        try:
            async with draining.stopping(request) as stop:
                batch = await letters.redrive_many(
                    asked.filter.wanted(),
                    asked.by,
                    rate=asked.rate_per_second,
                    limit=asked.limit,
                    cursor=asked.cursor,
                    stop=stop,
                )
        except InvalidInput as error:
            raise broken_cursor(error, Violation(pointer="/cursor", detail="")) from error
        metrics.redriven.inc(batch.redriven)
        if batch.last is not None:
            await letters.read.seen(batch.last)
        body = ManyRedriven.of(batch, asked.cursor).to_json()
        return Response(body, headers=_FRESH, media_type=JSON)

    @app.post("/v1/dead-letters/{letter_id}/redrive", **described.REDRIVE)
    async def redrive_letter(
        request: Request, letter_id: Annotated[str, described.LETTER_ID]
    ) -> Response:
        chosen(request)
        asked = await read_optional(request, RedriveRequest)
        try:
            known = await letters.redrive(known_id(letter_id), asked.by, asked.value)
        except InvalidInput as error:
            places = [
                Violation(pointer=f"/value{each.pointer}", detail=each.detail)
                for each in error.violations
            ]
            raise invalid(places) from error
        metrics.redriven.inc()
        await letters.read.seen(known)
        return Response(await shown(services, known), HTTPStatus.ACCEPTED, _FRESH, media_type=JSON)

    @app.post("/v1/dead-letters/{letter_id}/discard", **described.DISCARD)
    async def discard_letter(
        request: Request, letter_id: Annotated[str, described.LETTER_ID]
    ) -> Response:
        chosen(request)
        asked = await read_optional(request, DiscardRequest)
        known = await letters.discard(known_id(letter_id), asked.by, asked.comment)
        metrics.discarded.inc()
        await letters.read.seen(known)
        return Response(await shown(services, known), headers=_FRESH, media_type=JSON)
