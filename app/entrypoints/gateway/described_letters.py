"""What OpenAPI says about the operations on dead letters."""

from typing import Any

from fastapi import Path

from app.entrypoints.gateway.described import IF_NONE_MATCH, LINK, NOT_MODIFIED, Described
from app.entrypoints.gateway.letter_resources import LetterList, LetterResource, ManyRedriven
from app.entrypoints.gateway.negotiation import JSON
from app.entrypoints.gateway.problem_answers import Kind, answer, answers

LETTER_ID: Any = Path(description="The dead letter's UUID.")

_TAGS = {"tags": ["dead letters"]}
_UNKNOWN: Kind = (
    "There is no such dead letter.",
    "unknown-dead-letter",
    "no dead letter 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f is known",
    False,
)
_NOT_NOW: Kind = (
    "It was settled before (`dead-letter-settled`), has come back as often as it may "
    "(`redrive-limit`), or is not what ended its task (`task-not-dead`).",
    "redrive-limit",
    "the message was redriven 3 times; 3 are the most",
    False,
)
_SETTLED: Kind = (
    "It was redriven or discarded before.",
    "dead-letter-settled",
    "it was redriven at 2026-01-01T00:00:00.000Z by ada",
    False,
)


def _body(schema: str, examples: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": examples}
    return {"requestBody": {"required": False, "content": {JSON: content}}}


LIST: Described = {
    **_TAGS,
    "summary": "List dead letters, newest first",
    "response_model": LetterList,
    "responses": {
        200: {"description": "One page.", "headers": {"Link": LINK}},
        **answers(406, 422, 503),
    },
}

READ: Described = {
    **_TAGS,
    "summary": "Read a dead letter",
    "description": "The message as it was, why it lies here, and the runs of its task.",
    "response_model": LetterResource,
    "responses": {**NOT_MODIFIED, **answers(406, 503), 404: answer(404, _UNKNOWN)},
    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
}

REDRIVE: Described = {
    **_TAGS,
    "summary": "Send its message again",
    "description": "`202` means that the message is in the topic it came from, with its key, its "
    "bytes and its headers, or with `value` instead. Its task is open again, under the same id "
    "and in the same trace. To be repeated after any failure.",
    "status_code": 202,
    "response_model": LetterResource,
    "responses": {
        202: {"description": "The letter, redriven."},
        **answers(400, 406, 408, 413, 415, 422, 503),
        404: answer(404, _UNKNOWN),
        409: answer(409, _NOT_NOW),
    },
    "openapi_extra": _body(
        "RedriveRequest",
        {
            "as it was": {"value": {}},
            "edited": {"value": {"value": {"input": "a library in Berlin"}, "by": "ada"}},
        },
    ),
}

DISCARD: Described = {
    **_TAGS,
    "summary": "Put it away",
    "description": "It can still be read, and its task stays as it ended.",
    "response_model": LetterResource,
    "responses": {
        200: {"description": "The letter, discarded."},
        **answers(400, 406, 408, 413, 415, 422, 503),
        404: answer(404, _UNKNOWN),
        409: answer(409, _SETTLED),
    },
    "openapi_extra": _body("DiscardRequest", {"why": {"value": {"comment": "a test of ours"}}}),
}

REDRIVE_MANY: Described = {
    **_TAGS,
    "summary": "Redrive many",
    "description": "Sends what waits and fits, the oldest first, until none is left, `limit` is "
    "reached, the client leaves or the gateway drains; the rest goes on waiting. Letters that are "
    "refused are listed, and passed over with `next_cursor`.",
    "response_model": ManyRedriven,
    "responses": {
        200: {"description": "What became of those that were tried."},
        **answers(400, 406, 408, 413, 415, 422, 503),
    },
    "openapi_extra": _body(
        "RedriveManyRequest",
        {
            "an agent's": {
                "value": {
                    "filter": {"agent": "business-analyst", "reason": "retries-exhausted"},
                    "rate_per_second": 10,
                    "limit": 1000,
                }
            }
        },
    ),
}
