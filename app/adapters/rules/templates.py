"""Documents from Jinja2 templates, in a sandbox, where a misspelt variable is an error."""

import re
import threading
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
    Template,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_DOCUMENT = 1_000_000
"""Characters; a template that writes more is broken."""


class DocumentTooLong(ValueError):
    """A template has written more than anybody could want."""


class Templates:
    """The shipped templates, those in a person's folders (which win), and inline ones."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        own: list[BaseLoader] = [FileSystemLoader(folder) for folder in reversed(folders)]
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([*own, FunctionLoader(_shipped)]),
            undefined=StrictUndefined,
            autoescape=False,  # these are Markdown and code, never HTML
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {"cell": cell, "number": number, "line": line}

    def get(self, template: str) -> Template:
        """The template of that file name, or the text itself where it is one.

        Raises Jinja2's `TemplateError` when there is none or it cannot be parsed.
        """
        if is_inline(template):
            return self._environment.from_string(template)
        return self._environment.get_template(template)

    def render(self, template: str, values: Mapping[str, object], stop: threading.Event) -> str:
        """The document; `stop` ends the work early, as a canceled run must."""
        pieces: list[str] = []
        length = 0
        for piece in self.get(template).generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_DOCUMENT:
                raise DocumentTooLong(
                    f"the document is longer than {LONGEST_DOCUMENT:,} characters"
                )
            if stop.is_set():
                break
        return "".join(pieces)


def is_inline(template: str) -> bool:
    """Whether a setting is a template's text; otherwise it is a file's name."""
    return any(mark in template for mark in ("{{", "{%", "\n", " "))


def line(text: object) -> str:
    """Any text in one line, as headings and list items need it."""
    return " ".join(str(text).split())


def cell(text: object) -> str:
    """Any text as one cell of a Markdown table."""
    return re.sub(r"([|<])", r"\\\1", line(text))


def number(value: float) -> str:
    """12345.5 as 12,345.5: no needless digits, never an exponent."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def _shipped(name: str) -> str | None:
    if ".." in name.split("/"):
        return None
    file = files("app") / "catalog" / "templates" / name
    return file.read_text(encoding="utf-8") if file.is_file() else None
