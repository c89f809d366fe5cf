"""No two workers share a name, and a restarted one has its old name again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.adapters.local.worker_identity import WorkerIdTaken, claim_worker_identity

CLAIM = """
import socket, sys
from pathlib import Path
socket.gethostname = lambda: sys.argv[2]
from app.adapters.local.worker_identity import claim_worker_identity
claimed = claim_worker_identity(None, Path(sys.argv[1]))
print(claimed.id, flush=True)
sys.stdin.read()
"""

HOST = f"mill{os.getpid()}"
"""A host of our own: real workers may run on this machine while the tests do."""


@pytest.fixture(autouse=True)
def _a_host_called_mill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    for name in ("POD_NAME", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def another_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds an identity, and its ordinal."""
    command = [sys.executable, "-c", CLAIM, str(folder), HOST]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip().rpartition("-")[2]
        process.kill()


def test_two_processes_have_different_ordinals(tmp_path: Path) -> None:
    with another_process(tmp_path) as (_, first), another_process(tmp_path) as (_, second):
        assert (first, second) == ("0", "1")


def test_a_killed_process_has_its_ordinal_again(tmp_path: Path) -> None:
    with another_process(tmp_path), another_process(tmp_path) as (process, second):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        with another_process(tmp_path) as (_, again):
            assert again == second == "1"


def test_one_process_can_hold_two_identities(tmp_path: Path) -> None:
    with claim_worker_identity(None, tmp_path) as one, claim_worker_identity(None, tmp_path) as two:
        assert (one.id, two.id) == (f"{HOST}-0", f"{HOST}-1")
    with claim_worker_identity(None, tmp_path) as again:
        assert again.id == f"{HOST}-0"
        assert again.stable


def test_a_given_name_can_be_had_once(tmp_path: Path) -> None:
    with claim_worker_identity("press", tmp_path) as one:
        assert one.id == "press"
        with pytest.raises(WorkerIdTaken, match="'press'"):
            claim_worker_identity("press", tmp_path)


def test_a_pod_with_an_ordinal_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POD_NAME", "worker-rules-3")
    with claim_worker_identity(None, tmp_path) as pod:
        assert (pod.id, pod.stable) == ("worker-rules-3", True)


def test_a_pod_without_an_ordinal_claims_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with claim_worker_identity(None, tmp_path) as pod:
        assert pod.id == f"{HOST}-0"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's socket names")
def test_processes_that_share_no_files_have_different_ordinals(tmp_path: Path) -> None:
    with (
        another_process(tmp_path / "one") as (_, first),
        another_process(tmp_path / "two") as (_, second),
    ):
        assert (first, second) == ("0", "1")


@pytest.mark.parametrize(("platform", "stable"), [("linux", True), ("darwin", False)])
def test_without_a_folder_to_lock_in_names_are_still_unique(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, stable: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "folder"
    one, two = (claim_worker_identity(None, blocked) for _ in range(2))
    assert one.id != two.id
    assert one.stable is stable


def test_a_link_planted_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / f"worker-{HOST}-0.lock").symlink_to(precious)
    with claim_worker_identity(None, locks) as claimed:
        assert claimed.id == f"{HOST}-1"
    assert precious.read_text() == "keep me"


def test_processes_of_other_groups_may_have_the_same_name(tmp_path: Path) -> None:
    with claim_worker_identity("press", tmp_path, among="a.projector") as one:
        with claim_worker_identity("press", tmp_path, among="b.projector") as other:
            assert one.id == other.id
        with pytest.raises(WorkerIdTaken, match=r"another a\.projector on this machine"):
            claim_worker_identity("press", tmp_path, among="a.projector")
