"""What the commands on dead letters do."""

import base64
import sys
from collections.abc import Mapping
from typing import Any

from app.domain.model.readable import as_text
from app.entrypoints.cli.asking import task_input
from app.entrypoints.cli.connection import Gateway, Json, me, segment
from app.entrypoints.cli.letters_shown import show_letter, show_letters, show_settled
from app.entrypoints.cli.outcomes import CommandFailed, Exit, complain, leave
from app.entrypoints.cli.progress import Progress
from app.entrypoints.cli.shown import show_json
from app.entrypoints.terminal import printable

_PATH = "/v1/dead-letters"
_PAGE = 100
_AT_A_TIME = 5.0
"""Seconds of redriving in one request; between two of them the progress is shown."""
_IF_LOST = "repeat it: what was done is not done twice"


def list_letters(url: str, query: Mapping[str, str | None], limit: int, *, as_json: bool) -> None:
    """Show the newest letters that fit."""
    wanted = [(name, value) for name, value in query.items() if value is not None]
    gateway = Gateway(url)
    found: list[Json] = []
    cursor: str | None = None
    with Progress("asking") as progress:
        while len(found) < limit:
            page = [("limit", str(min(_PAGE, limit - len(found))))]
            page += [("cursor", cursor)] if cursor else []
            answer, _ = gateway.get(_PATH, [*wanted, *page])
            found += answer.get("items", [])
            cursor = answer.get("next_cursor")
            if not cursor:
                break
            progress.say(f"{len(found)} letters so far")
    if as_json:
        show_json({"items": found[:limit], "next_cursor": cursor})
    else:
        show_letters(found[:limit])


def show(url: str, letter_id: str, *, value_only: bool, as_json: bool) -> None:
    """Show one letter, or write the value of its message."""
    with Progress("asking"):
        letter, _ = Gateway(url).get(_path(letter_id))
    if value_only:
        _write_value(letter)
    elif as_json:
        show_json(letter)
    else:
        show_letter(letter)


def check_choice(
    letter_id: str | None, filters: Mapping[str, str], edit: str | None, *, everything: bool
) -> None:
    """Raise a usage error unless either one letter is named, or `--all`."""
    if everything == (letter_id is not None):
        raise CommandFailed("name one dead letter by its id, or many with --all", Exit.USAGE)
    if edit is not None and everything:
        raise CommandFailed("--edit is for one dead letter", Exit.USAGE)
    if filters and not everything:
        given = ", ".join(f"--{name}" for name in filters)
        raise CommandFailed(f"{given}: only with --all", Exit.USAGE)


def redrive(url: str, letter_id: str, edit: str | None, *, as_json: bool) -> None:
    """Send one message again, or the contents of a file instead."""
    body: dict[str, Any] = {"by": me()}
    if edit is not None:
        source = edit if edit == "-" else f"@{edit}"
        body["value"] = task_input(source, as_json=True, option="--edit")
    with Progress("sending it again"):
        letter, _ = Gateway(url).post(f"{_path(letter_id)}/redrive", body, {}, _IF_LOST)
    _settled(letter, as_json=as_json)


def discard(url: str, letter_id: str, comment: str | None, *, as_json: bool) -> None:
    """Put one letter away."""
    body = {"by": me()} | ({"comment": comment} if comment is not None else {})
    with Progress("putting it away"):
        letter, _ = Gateway(url).post(f"{_path(letter_id)}/discard", body, {}, _IF_LOST)
    _settled(letter, as_json=as_json)


def redrive_many(
    url: str, wanted: Mapping[str, str], rate: float, limit: int, *, as_json: bool
) -> None:
    """Redrive in portions until nothing is left that fits; 4 where some were refused."""
    gateway = Gateway(url)
    asked: dict[str, Any] = {"filter": dict(wanted), "rate_per_second": rate, "by": me()}
    redriven, refused = 0, list[Json]()
    with Progress("redriving") as progress:
        while redriven + len(refused) < limit:
            left = limit - redriven - len(refused)
            asked["limit"] = max(1, min(left, int(rate * _AT_A_TIME), 10_000))
            answer, _ = gateway.post(f"{_PATH}/redrive", asked, {}, _IF_LOST)
            redriven += answer.get("redriven", 0)
            refused += answer.get("refused", [])
            asked |= {"filter": answer.get("filter", {}), "cursor": answer.get("next_cursor")}
            progress.say(f"{redriven} redriven, {len(refused)} refused")
            if asked["cursor"] is None:
                break
    if as_json:
        show_json({"redriven": redriven, "refused": refused})
    else:
        sys.stdout.write(f"{redriven} redriven\n")
        for each in refused:
            complain(f"{each.get('id')}: {each.get('detail')} ({each.get('code')})")
    if refused:
        leave(Exit.REFUSED)


def _settled(letter: Json, *, as_json: bool) -> None:
    if as_json:
        show_json(letter)
    else:
        show_settled(letter)


def _write_value(letter: Json) -> None:
    value = letter.get("value")
    if value is None:
        raise CommandFailed("its value was too large to be kept", Exit.REFUSED)
    if value.get("text") is not None:
        content = as_text(str(value["text"])).encode()
    else:
        content = base64.b64decode(value.get("base64") or "")
    if sys.stdout.isatty():  # a file and a pipe get every byte of it
        content = printable(content.decode("utf-8", "replace")).encode()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _path(letter_id: str) -> str:
    return f"{_PATH}/{segment(letter_id)}"
