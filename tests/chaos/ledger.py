"""What agents really did, noted outside Kafka and the views: runs in a file, effects in a folder.

A run is noted when it begins and when it ends, one line each, whole even when the process is
killed right after. An effect is a file named by its idempotency key, which appears complete or not
at all, and only once: the way a payment service would keep it.
"""

import hashlib
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

LEDGER = "CHAOS_LEDGER"


class Ran(BaseModel):
    """A run began or ended."""

    model_config = ConfigDict(frozen=True)

    what: Literal["began", "ended", "stopped"]
    """`stopped` when it was cancelled or failed."""
    task_id: str
    agent: str
    attempt: int
    run: str
    """Names this very run."""
    pid: int
    at: float


class Effect(BaseModel):
    """Something a step did to the world, once for its key."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    step: str
    key: str
    attempt: int
    run: str
    pid: int
    at: float


class Ledger(BaseModel):
    """All of it, as the checker reads it."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[Ran, ...] = ()
    effects: tuple[Effect, ...] = ()


def note(
    what: Literal["began", "ended", "stopped"], run: str, task_id: str, agent: str, attempt: int
) -> None:
    line = Ran(
        what=what,
        task_id=task_id,
        agent=agent,
        attempt=attempt,
        run=run,
        pid=os.getpid(),
        at=time.time(),
    ).model_dump_json()
    file = os.open(_folder() / "runs.jsonl", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def take_effect(run: str, task_id: str, step: str, key: str, attempt: int) -> bool:
    """Do it unless it is done already under this key; whether it was done now."""
    effect = Effect(
        task_id=task_id,
        step=step,
        key=key,
        attempt=attempt,
        run=run,
        pid=os.getpid(),
        at=time.time(),
    )
    effects = _folder() / "effects"
    effects.mkdir(exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=_folder(), prefix=".draft-")
    try:
        os.write(handle, effect.model_dump_json().encode())
        try:
            os.link(draft, effects / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")
        except FileExistsError:
            return False
        return True
    finally:
        os.close(handle)
        Path(draft).unlink()


def new_run() -> str:
    return secrets.token_hex(6)


def read_ledger(folder: Path) -> Ledger:
    runs = folder / "runs.jsonl"
    lines = runs.read_text().splitlines() if runs.exists() else []
    effects = sorted((folder / "effects").glob("*.json"))
    return Ledger(
        runs=tuple(Ran.model_validate_json(line) for line in lines),
        effects=tuple(Effect.model_validate_json(each.read_text()) for each in effects),
    )


def _folder() -> Path:
    return Path(os.environ[LEDGER])
