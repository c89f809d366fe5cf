"""What a client would like (RFC 7240), of which we know one thing: `Prefer: wait=N`."""

import re
from collections.abc import Iterator

from starlette.requests import Request

_PART = re.compile(r'"(?:[^"\\]|\\.)*+"?|,|[^",]++', re.DOTALL)
"""A quoted text, a comma outside of one, or what stands between; it never goes back."""
_WAIT = re.compile(r'\s*wait\s*=\s*("?)([0-9]+)\1\s*(?:;.*)?', re.IGNORECASE)


def preferred_wait(request: Request, longest: float) -> float | None:
    """Seconds to wait, at most `longest`; None where waiting was not asked for.

    As the RFC demands, a preference that is unknown or cannot be read is ignored, and of several
    the first counts.
    """
    for header in request.headers.getlist("prefer"):
        for preference in _preferences(header):
            if match := _WAIT.fullmatch(preference):
                return min(float(match[2]), longest)
    return None


def _preferences(header: str) -> Iterator[str]:
    """A header's preferences; a quotation without an end belongs to the last one."""
    parts: list[str] = []
    for part in _PART.findall(header):
        if part == ",":
            yield "".join(parts)
            parts.clear()
        else:
            parts.append(part)
    yield "".join(parts)


def applied(seconds: float | None) -> dict[str, str]:
    """The header that tells for how long we were ready to wait, if it was asked."""
    return {} if seconds is None else {"Preference-Applied": f"wait={seconds:.0f}"}
