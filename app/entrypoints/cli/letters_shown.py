"""What a person sees of dead letters; plain text where it is not a terminal."""

import sys

from app.entrypoints.cli.connection import Json
from app.entrypoints.cli.outcomes import complain
from app.entrypoints.cli.shown import show_table
from app.entrypoints.terminal import printable

_TOLD = ("state", "reason", "detail", "agent", "task_id", "trace_id", "at", "attempts", "redrives")


def show_letters(letters: list[Json]) -> None:
    """One line for each letter; where there is none that is said, beside the output."""
    if not letters:
        complain("no dead letters found")
        return
    names = ("id", "state", "reason", "agent", "at", "detail")
    rows = [[_line(letter.get(name)) for name in names] for letter in letters]
    show_table(["id", "state", "reason", "agent", "set aside", ""], rows)


def show_letter(letter: Json) -> None:
    """Everything about one letter."""
    lines = [f"{name.replace('_', ' ')}: {_line(letter.get(name))}" for name in _TOLD]
    origin = letter.get("origin") or {}
    place = f"{origin.get('topic')}/{origin.get('partition')}@{origin.get('offset')}"
    lines += [f"from: {_line(place)} at {_line(origin.get('timestamp'))}"]
    if settled := letter.get("settled"):
        said = [f"{letter.get('state')} at {settled.get('at')} by {settled.get('by')}"]
        said += ["with another value"] if settled.get("edited") else []
        said += [str(settled["comment"])] if settled.get("comment") else []
        lines.append(f"settled: {_line(', '.join(said))}")
    lines += [_run(each) for each in letter.get("history") or []]
    lines.append(f"key: {_bytes(letter.get('key'))}")
    lines += [
        f"header {_line(each.get('name'))}: {_bytes(each.get('value'))}"
        for each in letter.get("headers") or []
    ]
    value = letter.get("value")
    lines += ["", _bytes(value) if value else "(the value was too large to be kept)"]
    sys.stdout.write("\n".join(lines) + "\n")


def show_settled(letter: Json) -> None:
    """What was done, and how to hear of the task."""
    sys.stdout.write(f"{_line(letter.get('id'))}\t{_line(letter.get('state'))}\n")
    if letter.get("state") == "redriven" and letter.get("task_id") and sys.stdout.isatty():
        sys.stderr.write(f"follow it with: crewline tail {_line(letter['task_id'])}\n")


def _run(attempt: Json) -> str:
    error = attempt.get("error") or {}
    why = f": {error.get('message')} ({error.get('code')})" if error else ""
    where = attempt.get("worker_id") or "nowhere"
    when = attempt.get("started_at") or attempt.get("ended_at") or ""
    return _line(f"run {attempt.get('number')}: {attempt.get('state')} on {where} {when}{why}")


def _bytes(value: Json | None) -> str:
    if value is None:
        return "none"
    text = value.get("text")
    return printable(str(text)) if text is not None else f"base64 {value.get('base64')}"


def _line(value: object) -> str:
    return printable(" ".join(str("" if value is None else value).split()))
