"""Dead letters as they lie there: browse them, or read one whole."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.errors import InvalidInput, UnknownDeadLetter
from app.domain.model.ids import LetterId, as_task_id
from app.domain.model.letters import KnownLetter
from app.entrypoints.gateway import described_letters as described
from app.entrypoints.gateway.conditional import conditional
from app.entrypoints.gateway.letter_requests import LetterQuery
from app.entrypoints.gateway.letter_resources import LetterList, LetterResource
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.problems import Problem, Violation, invalid
from app.entrypoints.gateway.services import GatewayServices


def add_dead_letter_routes(app: FastAPI, services: GatewayServices) -> None:
    """Serve `GET` of `/v1/dead-letters` and `/v1/dead-letters/{letter_id}`."""
    letters = services.letters.read

    @app.get("/v1/dead-letters", **described.LIST)
    async def list_letters(request: Request, query: Annotated[LetterQuery, Query()]) -> Response:
        chosen(request)
        try:
            page = await letters.list(query.wanted(), query.limit, query.cursor)
        except InvalidInput as error:
            raise broken_cursor(error, Violation(parameter="cursor", detail="")) from error
        headers = {"Cache-Control": "no-cache"}
        if page.next_cursor is not None:
            asked = [each for each in request.query_params.multi_items() if each[0] != "cursor"]
            following = urlencode([*asked, ("cursor", page.next_cursor)])
            headers["Link"] = f'</v1/dead-letters?{following}>; rel="next"'
        return Response(LetterList.of(page).to_json(), headers=headers, media_type=JSON)

    @app.get("/v1/dead-letters/{letter_id}", **described.READ)
    async def read_letter(
        request: Request, letter_id: Annotated[str, described.LETTER_ID]
    ) -> Response:
        chosen(request)
        known = await letters.find(known_id(letter_id))
        return conditional(request, await shown(services, known), {})


async def shown(services: GatewayServices, known: KnownLetter) -> bytes:
    """A letter, and what became of its task."""
    task_id = known.letter.task_id
    task = await services.store.find(task_id) if task_id else None
    return LetterResource.whole(known, task).to_json()


def known_id(text: str) -> LetterId:
    """The letter's id in a path; a text that can be none names no letter."""
    letter_id = as_task_id(text)
    if letter_id is None:
        raise UnknownDeadLetter(f"{text[:100]!r} is no dead letter's id: those are UUIDs")
    return LetterId(letter_id)


def broken_cursor(error: InvalidInput, place: Violation) -> Problem:
    """A cursor that no page has given, where it stood."""
    detail = error.message.removeprefix("cursor: ")
    return invalid([place.model_copy(update={"detail": detail})])
