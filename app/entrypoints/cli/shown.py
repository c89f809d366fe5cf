"""What a person sees of a task, an agent or a list; plain text where it is not a terminal."""

# ruff: noqa: PLC0415 - rich is loaded only for what needs it
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from app.entrypoints.cli.attempts import attempt_rows
from app.entrypoints.cli.connection import Json
from app.entrypoints.terminal import printable, printable_json

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {
    "submitted": "yellow",
    "working": "cyan",
    "input-required": "magenta",
    "completed": "green",
    "failed": "red",
    "canceled": "red",
    "rejected": "red",
    "healthy": "green",
    "stale": "red",
    "draining": "yellow",
}
_MARKDOWN = re.compile(r"^(#{1,6} |[-*] |\d+\. |```|\|.*\|)", re.MULTILINE)


def show_json(value: object) -> None:
    """The value as JSON, for machines."""
    sys.stdout.write(_dumped(value) + "\n")


def show_task(task: Json) -> None:
    """One task: how it stands, and what it made, if anything."""
    result = task.get("result") or {}
    if not sys.stdout.isatty():
        if task.get("state") == "completed":
            sys.stdout.write(_plain_result(result))
        else:
            row = [_text(task, "id"), _text(task, "state"), _remark(task)]
            for line in (row, *attempt_rows(task)):
                sys.stdout.write("\t".join(line).rstrip() + "\n")
        return
    console = _console()
    _heading(console, task)
    for line in attempt_rows(task):
        console.print("  " + "  ".join(line).rstrip(), style="dim", markup=False)
    for title, content, media_type in _documents(result):
        if title:
            _rule(console, title)
        _document(console, content, media_type)


def show_accepted(task: Json) -> None:
    """A task that was handed in: how to hear of it, or just its id for a script."""
    if not sys.stdout.isatty():
        sys.stdout.write(f"{_text(task, 'id')}\n")
        return
    show_task(task)
    sys.stderr.write(f"follow it with: crewline tail {_text(task, 'id')}\n")


def show_tasks(tasks: list[Json]) -> None:
    """One line for each task."""
    rows = [
        [_text(task, name) for name in ("id", "state", "agent", "created_at")] + [_remark(task)]
        for task in tasks
    ]
    show_table(["id", "state", "agent", "created", ""], rows)


def show_agents(agents: list[Json]) -> None:
    """One line for each agent."""
    rows = [
        [_text(agent, "name"), _names(agent.get("runtimes")), _text(agent, "description")]
        for agent in agents
    ]
    show_table(["agent", "runtimes", "description"], rows)


def show_agent(agent: Json) -> None:
    """Everything there is to know about one agent."""
    for name, value in agent.items():
        if value in (None, "", [], {}) or name == "links":
            continue
        text = value if isinstance(value, str) else _names(value) or _dumped(value)
        sys.stdout.write(f"{name.replace('_', ' ')}: {printable(text)}\n")


def _heading(console: "Console", task: Json) -> None:
    from rich.text import Text

    state = str(task.get("state"))
    line = Text.assemble(
        (printable(state), f"bold {_COLOURS.get(state, 'white')}"),
        f"  {_text(task, 'agent')}  ",
        (_text(task, "id"), "dim"),
    )
    if spent := _spent(task.get("usage") or {}):
        line.append(f"  {spent}", "dim")
    console.print(line)
    if remark := _remark(task):
        console.print(Text(remark))
    if asked := task.get("input_request"):
        console.print(Text(printable(str(asked.get("prompt")))))


def _remark(task: Json) -> str:
    """The most telling thing about a task that is no result."""
    if error := task.get("error"):
        again = f"; {task.get('status_message')}" if task.get("reason") == "retrying" else ""
        remark = f"{error.get('message')} ({error.get('code')}){again}"
        return printable(remark.replace("\n", " "))
    return printable(str(task.get("status_message") or task.get("reason") or "").replace("\n", " "))


def _spent(usage: Json) -> str:
    tokens = int(usage.get("input_tokens") or 0) + int(usage.get("output_tokens") or 0)
    cost = usage.get("cost_usd")
    return ", ".join(
        part for part in (f"{tokens} tokens" * bool(tokens), f"${cost:.4f}" if cost else "") if part
    )


def _documents(result: Json) -> list[tuple[str, Any, str | None]]:
    """What a person reads: title, content and kind of each document.

    Where there are artifacts, an output that is data says the same for machines: it is left out.
    """
    output, artifacts = result.get("output"), result.get("artifacts") or []
    found: list[tuple[str, Any, str | None]] = []
    if output is not None and (isinstance(output, str) or not artifacts):
        found.append(("", output, None))
    return found + [
        (str(each.get("name")), each.get("content"), each.get("media_type")) for each in artifacts
    ]


def _plain_result(result: Json) -> str:
    documents = _documents(result)
    several = sum(1 for title, _, _ in documents if title) > 1
    parts = []
    for title, content, _ in documents:
        text = content if isinstance(content, str) else _dumped(content)
        heading = f"==> {printable(title)} <==\n" if several and title else ""
        parts.append(heading + text + "\n" * (not text.endswith("\n")))
    return "".join(parts)


def _document(console: "Console", content: Any, media_type: str | None) -> None:
    from rich.text import Text

    if not isinstance(content, str):
        from rich.highlighter import JSONHighlighter

        console.print(JSONHighlighter()(_dumped(content)), soft_wrap=True)
        return
    text = printable(content)
    if media_type == "text/markdown" or (media_type is None and _MARKDOWN.search(text)):
        from rich.markdown import Markdown

        console.print(Markdown(text))
    else:
        console.print(Text(text))


def show_table(titles: list[str], rows: list[list[str]]) -> None:
    """Aligned on a terminal; elsewhere the rows alone, with a tab between columns."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write("\t".join(row).rstrip() + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, title in enumerate(titles):
        table.add_column(title, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in row))
    _console().print(table)


def _rule(console: "Console", title: str) -> None:
    from rich.rule import Rule
    from rich.text import Text

    console.print(Rule(Text(printable(title)), align="left", style="dim"))


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _text(value: Json, name: str) -> str:
    return printable(" ".join(str(value.get(name) or "").split()))


def _names(value: object) -> str:
    """Names in one line, from a list of them or of objects that have one."""
    if isinstance(value, dict):
        return ", ".join(value) if all(isinstance(each, dict) for each in value.values()) else ""
    if not isinstance(value, list):
        return ""
    return ", ".join(
        str(each.get("name", each.get("id"))) if isinstance(each, dict) else str(each)
        for each in value
    )


def _dumped(value: object) -> str:
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False))
