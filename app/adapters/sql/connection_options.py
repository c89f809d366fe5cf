"""What a PostgreSQL URL says behind its `?`: libpq's parameters, as the driver takes them."""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import URL

Options = dict[str, Any]

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS = ("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")
_SESSIONS = (
    "any", "primary", "standby", "read-write", "read-only", "prefer-standby"
)  # fmt: skip
_OURS = ("application_name", "channel_binding", "client_encoding", "connect_timeout", "options",
         "sslmode", "target_session_attrs", *_TLS)  # fmt: skip
_THE_DRIVERS = ("host", "port", "prepared_statement_cache_size", "ssl")
"""SQLAlchemy hands them on by itself; `host` and `port` name several servers."""


def connection_options(address: URL, patience: float) -> tuple[URL, Options]:
    """The URL without libpq's parameters, and the driver's own in their place.

    Raises `ValueError` in words that show no part of the URL but the name of a parameter.
    """
    given = _given(address.query)
    options: Options = {"timeout": patience, "server_settings": _settings(given)}
    if (seconds := given.get("connect_timeout")) is not None:
        options["timeout"] = _seconds(seconds)
    if (tls := _tls(given)) is not None:
        options["ssl"] = tls
    if (wanted := given.get("target_session_attrs")) is not None:
        options["target_session_attrs"] = _one_of("target_session_attrs", wanted, _SESSIONS)
    if given.get("channel_binding", "prefer") not in {"disable", "prefer"}:
        raise ValueError("channel_binding: the driver cannot require it; leave it out")
    if given.get("client_encoding", "utf8").lower().replace("-", "") not in {"utf8", "auto"}:
        raise ValueError("client_encoding: the driver speaks utf8 alone")
    return address.difference_update_query([name for name in given if name in _OURS]), options


def _given(query: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    known = sorted((*_OURS, *_THE_DRIVERS))
    for name, value in query.items():
        if name not in known:
            raise ValueError(f"{name[:40]!r} is no parameter here; there are: {', '.join(known)}")
        if not isinstance(value, str) and name not in {"host", "port"}:
            raise ValueError(f"{name} stands there twice")
    if "ssl" in query and "sslmode" in query:
        raise ValueError("ssl and sslmode say the same; leave one out")
    return {name: value for name, value in query.items() if isinstance(value, str)}


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    settings = {"application_name": given.get("application_name") or "crewline"}
    if options := given.get("options"):
        settings["options"] = options
    return settings


def _seconds(text: str) -> float | None:
    """As libpq has it: whole seconds, and none of them for no limit."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError("connect_timeout: must be a number of whole seconds")
    return float(text) or None


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(allowed)}")
    return value


def _tls(given: Mapping[str, str]) -> ssl.SSLContext | str | None:
    """What the driver is told of TLS; None where the URL says nothing of it."""
    named = [name for name in _TLS if name in given]
    if "sslmode" not in given:
        if named:
            raise ValueError(f"{named[0]}: needs sslmode=require, verify-ca or verify-full")
        return None
    mode = _one_of("sslmode", given["sslmode"], _MODES)
    if mode in {"disable", "allow", "prefer"}:
        if named:
            raise ValueError(f"{named[0]}: needs sslmode=require, verify-ca or verify-full")
        return mode
    if not named and mode == "require":
        return mode
    return _context(mode, given)


def _context(mode: str, given: Mapping[str, str]) -> ssl.SSLContext:
    """`require` with a root certificate checks it, as libpq does."""
    context = ssl.create_default_context()
    root = given.get("sslrootcert", "system")
    if root != "system":
        context = _reading("sslrootcert", lambda: ssl.create_default_context(cafile=root))
    if mode != "verify-full":
        context.check_hostname = False
    if mode == "require" and "sslrootcert" not in given:
        context.verify_mode = ssl.CERT_NONE
    if revoked := given.get("sslcrl"):
        _reading("sslcrl", lambda: context.load_verify_locations(cafile=revoked))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if certificate := given.get("sslcert"):
        key, password = given.get("sslkey"), given.get("sslpassword")
        # without a password OpenSSL would ask for one at the terminal
        _reading("sslcert", lambda: context.load_cert_chain(certificate, key, password or ""))
    elif "sslkey" in given or "sslpassword" in given:
        raise ValueError("sslkey: needs sslcert")
    return context


def _reading(name: str, read: Any) -> Any:
    try:
        return read()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None)
        raise ValueError(f"{name}: cannot be read: {why or type(error).__name__}") from None
