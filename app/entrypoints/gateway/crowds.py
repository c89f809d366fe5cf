"""How many may stay at one time: open streams and waiting requests cost as long as they last."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.entrypoints.gateway.problems import Problem

_COME_BACK = 5
"""Seconds after which another try is sensible."""


class Crowd:
    """Those who are here, so many at most."""

    def __init__(self, most: int, code: str, what: str) -> None:
        """`code` and `what` say of which there are too many."""
        self.most = most
        self.here = 0
        self._code, self._what = code, what

    @classmethod
    def of_streams(cls, most: int) -> "Crowd":
        return cls(most, "too-many-streams", "event streams are open")

    @classmethod
    def of_waiting(cls, most: int) -> "Crowd":
        return cls(most, "too-many-waiting", "requests wait for a result")

    @property
    def full(self) -> bool:
        return self.here >= self.most

    def refuse_more(self) -> None:
        """Raise a 503 `Problem` where there is no room."""
        if self.full:
            detail = f"{self.here} {self._what}, which is the most this gateway bears; come back"
            headers = {"Retry-After": str(_COME_BACK)}
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Problem(status, self._code, detail, retryable=True, headers=headers)

    def stream(
        self, content: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str
    ) -> Response:
        """An answer that is one more of them from now on, until it ends."""
        self.refuse_more()
        return _Stream(self, content, headers, media_type)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """One more, as long as the context is open."""
        self.here += 1
        try:
            yield
        finally:
            self.here -= 1


class _Stream(StreamingResponse):
    def __init__(
        self, crowd: Crowd, content: AsyncIterator[bytes], headers: Mapping[str, str], kind: str
    ) -> None:
        super().__init__(content, headers=headers, media_type=kind)
        self._crowd = crowd
        crowd.here += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._crowd.here -= 1
