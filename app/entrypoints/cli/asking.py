"""What a person typed, as the body of a request."""

import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.entrypoints.cli.outcomes import CommandFailed, Exit


@dataclass(frozen=True, slots=True)
class TaskAsked:
    """A task as it was typed; options that were not given are None or empty."""

    agent: str
    input: str | dict[str, Any]
    options: dict[str, Any]
    idempotency_key: str | None

    @property
    def body(self) -> dict[str, Any]:
        """The body of the request: what was given, and nothing else."""
        given = {name: value for name, value in self.options.items() if value not in (None, {})}
        return {"agent": self.agent, "input": self.input, **given}

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}


_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
FOREVER = "forever"
"""What `--wait` means without a number."""


def with_wait_value(arguments: list[str]) -> list[str]:
    """The arguments with `--wait` made whole: a number behind it is its value, nothing else is."""
    made: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*made, argument, *rest]
        if made and made[-1] == "--wait" and re.fullmatch(r"\d+(\.\d+)?", argument):
            made[-1] = f"--wait={argument}"
        else:
            made.append(argument)
    return [f"--wait={FOREVER}" if argument == "--wait" else argument for argument in made]


def wait_seconds(text: str | None) -> float | None:
    """How long to wait: None for as long as it takes."""
    if text is None or text == FOREVER:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 10**9:
        raise CommandFailed(f"--wait: {text!r} is no number of seconds", Exit.USAGE)
    return seconds


def idempotency_key(text: str | None) -> str | None:
    """The key as a header can hold it; an empty one, as of an unset variable, protects nobody."""
    if text is not None and not re.fullmatch("[ -~]*[!-~][ -~]*", text):
        message = f"--idempotency-key: {text!r} must be printable ASCII characters, one at least"
        raise CommandFailed(message, Exit.USAGE)
    return text


def task_input(text: str, *, as_json: bool, option: str = "--input-json") -> str | dict[str, Any]:
    """The input itself, from standard input (`-`) or a file (`@path`) where it says so."""
    given = _contents(text)
    if not as_json:
        return given
    try:
        value = _json(option, given)
    except ValueError as error:
        raise CommandFailed(f"{option}: the input is not JSON: {error}", Exit.USAGE) from error
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"the value {given.strip()[:40]}"
        message = f"{option}: the input must be a JSON object, and this is {kind}"
        raise CommandFailed(message, Exit.USAGE)
    return value


def moment(option: str, text: str | None) -> str | None:
    """A time in RFC 3339, from one or from how long it is from now; without an offset, in UTC."""
    if text is None:
        return None
    if later := re.fullmatch(r"\+(\d{1,5})([smhd])", text):
        at = datetime.now(UTC) + timedelta(seconds=int(later[1]) * _SECONDS[later[2]])
        return at.isoformat(timespec="milliseconds")
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option}: {text!r} is no time such as 2026-01-31T08:00Z or +90s"
        raise CommandFailed(message, Exit.USAGE) from error
    return text


def past(option: str, text: str | None) -> str | None:
    """A time in RFC 3339, from one or from how long ago it was; without an offset, in UTC."""
    if text and (ago := re.fullmatch(r"-?(\d{1,5})([smhd])(?: ago)?", text)):
        at = datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        return at.isoformat(timespec="milliseconds")
    return moment(option, text)


def pairs(option: str, given: list[str]) -> dict[str, str]:
    """`name=value` texts as a mapping."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise CommandFailed(f"{option}: {text!r} must look like name=value", Exit.USAGE)
        found[name] = value
    return found


def parameters(given: list[str]) -> dict[str, Any]:
    """Parameters, each read as JSON where it is JSON, so that 3 is a number; else as text."""
    return _read("--param", given)


def budget(given: list[str]) -> dict[str, Any]:
    """Limits, each a number; the gateway knows which there are."""
    found = _read("--budget", given)
    for name, value in found.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise CommandFailed(f"--budget: {name}={value} must be a number", Exit.USAGE)
    return found


def _read(option: str, given: list[str]) -> dict[str, Any]:
    return {name: _json_or_text(option, value) for name, value in pairs(option, given).items()}


def _json_or_text(option: str, value: str) -> Any:
    try:
        return _json(option, value, parse_constant=lambda _: value)
    except ValueError:
        return value


def _json(option: str, text: str, **how: Any) -> Any:
    try:
        return json.loads(text, **how)
    except RecursionError as error:
        raise CommandFailed(f"{option}: the JSON is nested too deeply", Exit.USAGE) from error


def _contents(text: str) -> str:
    if text != "-" and not text.startswith("@"):
        return text
    source = "standard input" if text == "-" else text[1:] or "a file without a name"
    try:
        if text == "-":
            return sys.stdin.read()
        return Path(text[1:]).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CommandFailed(f"cannot read {source}: {reason}", Exit.USAGE) from error
