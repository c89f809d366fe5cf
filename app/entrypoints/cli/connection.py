"""The gateway, as the command line reaches it: answers or one clear failure."""

import getpass
import json
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

# httpx loads its own command line where it finds one, which costs more than all the rest of it
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # "there is none"
import httpx  # noqa: E402

from app.entrypoints.cli.outcomes import CommandFailed, Exit  # noqa: E402

Json = dict[str, Any]
"""A JSON object somebody else wrote; it is read with care."""

_AWAY = {502, 503, 504}


class Gateway:
    """One base address; every method raises `CommandFailed` when it cannot answer."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise CommandFailed(f"{url!r} is not an http:// or https:// address", Exit.USAGE)
        trust = ssl.create_default_context() if self._url.startswith("https://") else False
        try:
            self._client = httpx.Client(
                base_url=self._url,
                verify=trust,
                timeout=httpx.Timeout(30, connect=5),
                headers={"User-Agent": "crewline", "Accept": "application/json"},
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # or a proxy's address
            raise CommandFailed(f"{self._url}: {error}", Exit.USAGE) from error

    def get(
        self, path: str, query: Sequence[tuple[str, str]] = (), wait: float | None = None
    ) -> tuple[Json, httpx.Headers]:
        """The object at a path; with `wait`, once it has ended or after so many seconds."""
        with self._answering(path):
            response = self._client.get(
                path, params=list(query), headers=_prefer(wait), timeout=_patience(wait)
            )
        return self._object(response), response.headers

    def post(
        self, path: str, body: Json, headers: Mapping[str, str], if_lost: str
    ) -> tuple[Json, httpx.Headers]:
        """What the gateway answers to a body; `if_lost` is the advice where it may have come."""
        content = _encoded(body)
        headers = {"Content-Type": "application/json", **headers}
        with self._answering(path, if_lost):
            response = self._client.post(
                path, content=content, headers=headers, timeout=_patience(None)
            )
        return self._object(response), response.headers

    @contextmanager
    def lines(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an event stream, as they come."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **headers}
        timeout = httpx.Timeout(60, connect=5)
        with (
            self._answering(path),
            self._client.stream("GET", path, headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            yield _lines(response.iter_bytes())

    @contextmanager
    def _answering(self, path: str, if_lost: str = "") -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            advice = "start one with `crewline dev`, or name yours with --url or CREWLINE_URL"
            message = f"no gateway answers at {self._url} ({_reason(error)}); {advice}"
            raise CommandFailed(message, Exit.UNREACHABLE) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise CommandFailed(f"{self._url}: {error}", Exit.USAGE) from error
        except httpx.HTTPError as error:
            message = f"{self._url}{path} did not answer ({_reason(error)})"
            if if_lost:
                message += f"; {if_lost}"
            raise CommandFailed(message, Exit.UNREACHABLE) from error

    def _object(self, response: httpx.Response) -> Json:
        if not response.is_success:
            raise self._refusal(response)
        body = _parsed(response)
        if body is None:
            message = f"what answers at {self._url} is not a Crewline gateway"
            raise CommandFailed(message, Exit.UNREACHABLE)
        return body

    def _refusal(self, response: httpx.Response) -> CommandFailed:
        """The problem document as one line."""
        problem = _parsed(response) or {}
        status = response.status_code
        phrase = problem.get("title") or response.reason_phrase or "an error"
        said = str(problem.get("detail") or f"{self._url} answered {status} {phrase}")
        about = [str(problem["code"])] if problem.get("code") else []
        if later := response.headers.get("Retry-After"):
            about.append(f"try again in {later} s")
        if problem.get("trace_id") and status >= 500:
            about.append(f"trace {problem['trace_id']}")
        suffix = f" ({', '.join(about)})" if about else ""
        code = Exit.UNREACHABLE if status in _AWAY else Exit.REFUSED
        return CommandFailed(" ".join(f"{said}{suffix}".split()), code, problem.get("code"))


def segment(text: str) -> str:
    """A name or an id as it stands in a path, where dots alone would lead elsewhere."""
    if not text.strip("."):
        raise CommandFailed(f"{text!r} is no name and no id", Exit.USAGE)
    return quote(text, safe="", errors="surrogateescape")


def _encoded(body: Json) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        message = "some of the text is not Unicode: bytes that are not UTF-8, or half a character"
        raise CommandFailed(message, Exit.USAGE) from error
    except ValueError as error:
        message = "some number is infinite, too large or NaN, which JSON has not"
        raise CommandFailed(message, Exit.USAGE) from error


def _prefer(wait: float | None) -> dict[str, str]:
    return {} if wait is None else {"Prefer": f"wait={max(1, round(wait))}"}


def _patience(wait: float | None) -> httpx.Timeout:
    return httpx.Timeout(30 + (wait or 0), connect=5)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Only a line feed ends a line; httpx also breaks at characters that JSON may hold."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")


def _parsed(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def me() -> str:
    """Who asks, as this machine knows them."""
    try:
        return getpass.getuser()[:255] or "somebody"
    except (KeyError, OSError):  # a container may run under a number without a name
        return "somebody"
