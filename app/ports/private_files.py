"""Files and folders that only their owner may read: what tasks say, and what came of them."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make it, and those above it that are missing, for their owner alone.

    One that is there stays as it is: somebody may have opened it to others on purpose.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # for its error, where it is no folder


def make_private_file(file: Path) -> None:
    """Make it where it is missing; where others may read it, and it is ours, they no longer may.

    A file that is there is not opened: closing it again would free the locks that this process
    holds on it elsewhere, as SQLite does.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return
    found = file.stat()
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
        file.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
