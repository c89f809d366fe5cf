"""Documents from Jinja2 templates, in a sandbox, where a misspelt variable is an error.

A template reads files below the catalog's folders alone, and those it names itself: never one that
a task names.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_DOCUMENT = 1_000_000
"""Characters; a template that writes more is broken."""


_REFERENCES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class DocumentTooLong(ValueError):
    """A template has written more than anybody could want."""


class Templates:
    """The shipped templates, those in a person's folders (which win), and inline ones."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            loader=_FolderLoader([*reversed(folders), files("app") / "catalog" / "templates"]),
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
            _refuse_chosen_names(self._environment, template, None)
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


class _FolderLoader(BaseLoader):
    """Files below these folders, the first that has one; where a link leads counts."""

    def __init__(self, folders: Sequence[Traversable]) -> None:
        self._folders = tuple(folders)

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:
        """Jinja2's own interface: the text, the name for its errors, and no word on changes."""
        parts = template.split("/")
        odd = any(mark in template for mark in ("\\", "\0", ":"))
        if odd or not {"", ".", ".."}.isdisjoint(parts):
            raise TemplateNotFound(template, f"{template!r}: a template lies below the catalog")
        for folder in self._folders:
            file = folder.joinpath(*parts)
            if _lies_below(file, folder):
                text = _text_of(file, template)
                _refuse_chosen_names(environment, text, template)
                return text, str(file), None
        raise TemplateNotFound(template)


def _lies_below(file: Traversable, folder: Traversable) -> bool:
    try:
        if isinstance(file, Path) and isinstance(folder, Path):
            return file.is_file() and file.resolve().is_relative_to(folder.resolve())
        return file.is_file()  # inside an archive there are no links
    except OSError:  # the name is too long, or the links go round in circles
        return False


def _text_of(file: Traversable, template: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateNotFound(template, f"{template}: it cannot be read as UTF-8 text") from error


def _refuse_chosen_names(environment: Environment, text: str, name: str | None) -> None:
    """A name that is worked out as the template runs is one that a task may choose."""
    for node in environment.parse(text, name).find_all(_REFERENCES):
        named: nodes.Expr = node.template  # type: ignore[attr-defined]  # all of these have one
        names = named.items if isinstance(named, nodes.List | nodes.Tuple) else [named]
        if not all(isinstance(each, nodes.Const) for each in names):
            message = "include, import and extends take names in quotes, not what a task brings"
            raise TemplateSyntaxError(message, node.lineno, name)
