"""Results that are too large for the log, as files."""

import asyncio
import os
from pathlib import Path

import pytest

from app.adapters.local.result_spool import FileSpool
from app.domain.model.ids import TaskId
from tests.builders import task_id


def keep(spool: FileSpool, task: TaskId, attempt: int, result: bytes) -> str | None:
    return asyncio.run(spool.keep(task, attempt, result))


def test_a_result_lies_where_it_says_and_only_we_may_read_it(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path / "a" / "spool", 1_000)
    where = keep(spool, task_id("t-1"), 2, b'{"output": 1}')
    assert where == str(tmp_path / "a" / "spool" / f"{task_id('t-1')}.2.json")
    assert Path(where).read_bytes() == b'{"output": 1}'
    assert Path(where).stat().st_mode & 0o077 == 0
    assert Path(where).parent.stat().st_mode & 0o077 == 0


def test_the_oldest_make_room_and_all_together_stay_within_the_bound(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, 1_000)
    for age, number in enumerate((1, 2, 3), start=-3):
        where = keep(spool, task_id(f"t-{number}"), 1, bytes(400))
        assert where is not None
        os.utime(where, (age, age))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{task_id(f't-{number}')}.1.json" for number in (2, 3)}


def test_what_is_larger_than_all_there_may_be_is_not_kept_and_pushes_nothing_out(
    tmp_path: Path,
) -> None:
    spool = FileSpool(tmp_path, 1_000)
    assert keep(spool, task_id("t-1"), 1, bytes(400)) is not None
    assert keep(spool, task_id("t-2"), 1, bytes(1_001)) is None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_told_in_the_log_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    spool = FileSpool(tmp_path / "file" / "spool", 1_000)
    assert keep(spool, task_id("t-1"), 1, b"{}") is None
    assert "cannot be kept" in caplog.text
