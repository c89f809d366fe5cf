"""Tokens for brokers that ask for OAUTHBEARER, by the OAuth 2.0 client credentials grant."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiokafka.abc import AbstractTokenProvider

if TYPE_CHECKING:
    import httpx

_RENEW_BEFORE = 30.0
"""Seconds before its end at which a token is no longer handed out."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Where a token is asked for, and in whose name."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None


class ClientCredentialsProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Fetches a token when a connection needs one, and keeps it while it is good."""

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        transport: "httpx.AsyncBaseTransport | None" = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._transport = transport
        self._now = now
        self._token: str | None = None
        self._good_until = 0.0

    async def token(self) -> str:
        if self._token is None or self._now() >= self._good_until:
            self._token, lifetime = await self._fetch()
            self._good_until = self._now() + lifetime - _RENEW_BEFORE
        return self._token

    async def _fetch(self) -> tuple[str, float]:
        import httpx  # noqa: PLC0415  slow to load, and few brokers ask for tokens

        asked = {"grant_type": "client_credentials"}
        if self._credentials.scope:
            asked["scope"] = self._credentials.scope
        identity = (self._credentials.client_id, self._credentials.client_secret)
        async with httpx.AsyncClient(transport=self._transport, timeout=10) as client:
            answer = await client.post(self._credentials.token_url, data=asked, auth=identity)
        answer.raise_for_status()
        body = answer.json()
        return str(body["access_token"]), float(body.get("expires_in", 300))
