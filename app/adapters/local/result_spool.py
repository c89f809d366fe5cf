"""Results as files in a folder of the worker's machine; the oldest make room for new ones."""

import asyncio
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.domain.model.ids import TaskId
from app.ports.result_spool import ResultSpool

_WRITTEN_WITHIN = 600.0
"""Seconds after which a draft is one that nobody will finish."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileSpool(ResultSpool):
    """Readable by this user alone. Several workers of a machine may share the folder."""

    folder: Path
    max_bytes: int
    """Of all files together."""

    async def keep(self, task_id: TaskId, attempt: int, result: bytes) -> str | None:
        try:
            return await asyncio.to_thread(self._keep, f"{task_id}.{attempt}.json", result)
        except OSError as error:
            _log.warning("a result that is too large cannot be kept in %s: %s", self.folder, error)
            return None

    def _keep(self, name: str, result: bytes) -> str | None:
        if len(result) > self.max_bytes:
            return None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(len(result))
        path, draft = self.folder / name, self.folder / f"{name}.part"
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(result)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return str(path.resolve())

    def _make_room(self, wanted: int) -> None:
        there: list[tuple[os.stat_result, Path]] = []
        for each in self.folder.glob("*.json*"):
            with suppress(FileNotFoundError):  # another worker has made room, or finished a draft
                there.append((each.stat(), each))
        free = self.max_bytes - sum(stat.st_size for stat, _ in there)
        for stat, path in sorted(there, key=lambda each: each[0].st_mtime):
            if free >= wanted:
                return
            if path.suffix == ".part" and time.time() - stat.st_mtime < _WRITTEN_WITHIN:
                continue  # another worker is writing it
            path.unlink(missing_ok=True)
            free += stat.st_size
