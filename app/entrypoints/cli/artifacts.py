"""Save what a task made as files, never outside the folder and never over another file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from app.domain.model.readable import as_text
from app.entrypoints.cli.connection import Json
from app.entrypoints.cli.outcomes import CommandFailed, Exit
from app.entrypoints.terminal import printable

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_LONGEST = 120


def save(task: Json, folder: Path) -> list[Path]:
    """Write the task's artifacts, or its output where it has none, and return the files.

    A file that is there already stays as it is: an equal one is taken for ours, beside a
    different one the new file gets a number.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        root = folder.resolve()
        return [_write(root, name, content) for name, content in _documents(task)]
    except OSError as error:
        message = f"cannot save to {folder}: {error.strerror or error}"
        raise CommandFailed(message, Exit.USAGE) from error


def safe_path(name: str) -> Path:
    """A relative path that stays below its folder, whatever an artifact calls itself."""
    parts = [_safe(part).strip() for part in re.split(r"[/\\]", name)]
    kept = [part[:_LONGEST] for part in parts if part.strip(". ")]
    return Path(*kept) if kept else Path("artifact")


def _safe(part: str) -> str:
    """What does not print would show another name than the file has."""
    seen = (each if printable(each) == each else "_" for each in part)
    return _FORBIDDEN.sub("_", "".join(seen))


def _documents(task: Json) -> Iterator[tuple[str, str]]:
    result = task.get("result") or {}
    artifacts = result.get("artifacts") or []
    for artifact in artifacts:
        yield str(artifact.get("name", "")), str(artifact.get("content", ""))
    output = result.get("output")
    if not artifacts and output is not None:
        if isinstance(output, str):
            yield "output.md", output
        else:
            yield "output.json", json.dumps(output, indent=2, ensure_ascii=False) + "\n"


def _write(root: Path, name: str, content: str) -> Path:
    content = as_text(content)
    wanted = root / safe_path(name)
    if not wanted.parent.resolve().is_relative_to(root):  # through a link that lies there
        wanted = root / wanted.name
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1_000):
        file = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        try:
            with file.open("x", encoding="utf-8", newline="") as opened:
                opened.write(content)
        except FileExistsError:
            if file.is_file() and file.read_bytes() == content.encode():
                return file
        else:
            return file
    raise CommandFailed(f"{root} is full of files called {wanted.name}", Exit.USAGE)
