"""What a client would like (RFC 7240), of which we know one thing: `Prefer: wait=N`."""

import re

from starlette.requests import Request

_PREFERENCE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_WAIT = re.compile(r'\s*wait\s*=\s*("?)([0-9]+)\1\s*(?:;.*)?', re.IGNORECASE)


def preferred_wait(request: Request, longest: float) -> float | None:
    """Seconds to wait, at most `longest`; None where waiting was not asked for.

    As the RFC demands, a preference that is unknown or cannot be read is ignored, and of several
    the first counts.
    """
    for header in request.headers.getlist("prefer"):
        for preference in _PREFERENCE.findall(header):
            if match := _WAIT.fullmatch(preference):
                return min(float(match[2]), longest)
    return None


def applied(seconds: float | None) -> dict[str, str]:
    """The header that tells for how long we were ready to wait, if it was asked."""
    return {} if seconds is None else {"Preference-Applied": f"wait={seconds:.0f}"}
