"""The commands for people, against a gateway on this machine."""

import json
import os
import pty
import re
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.entrypoints.cli import app
from app.entrypoints.cli.asking import with_wait_value
from tests import scripted_gateway
from tests.scripted_gateway import (
    ASKING,
    DONE,
    FAILED,
    HOSTILE,
    NASTY,
    REPORT,
    RUNNING,
    SEVERAL,
    SOON,
    UNSEEN,
    UNSEEN_SIGNS,
    Script,
)

CREWLINE = [sys.executable, "-c", "from app.entrypoints.cli import main; main()"]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture(autouse=True)
def url(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with scripted_gateway.serving(script) as url:
        monkeypatch.setenv("CREWLINE_URL", url)
        yield url


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def crewline(*arguments: str, given: str = "") -> Done:
    """What a call comes to, made in this process, which saves the start of another."""
    result = CliRunner().invoke(app, with_wait_value(list(arguments)), input=given)
    return Done(result.exit_code, result.stdout, result.stderr)


def in_its_own_process(*arguments: str) -> Done:
    """The same, with everything that belongs to a process: its end, its terminal, its signals."""
    done = subprocess.run(
        [*CREWLINE, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def on_a_terminal(*arguments: str) -> str:
    """What a person would see of standard output, with everything that makes it pretty."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*CREWLINE, *arguments],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ):
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side was closed
        return b""


def test_a_script_gets_the_id_of_what_it_handed_in() -> None:
    done = crewline("submit", "scribe", "Write it up")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SOON}\n", "")


def test_everything_that_was_typed_is_handed_in() -> None:
    done = crewline(
        *("submit", "scribe", '{"query": "why"}', "--input-json", "--id", RUNNING, "--json"),
        *("--param", "depth=3", "--param", "tone=dry", "--param", "a=b=c", "--label", "team=x"),
        *("--runtime", "rules", "--model", "openai:x", "--context-id", "c-1"),
        *("--timeout", "60", "--idempotency-key", "k-1"),
        *("--budget", "tokens=5000", "--budget", "cost_usd=0.5"),
    )
    made = json.loads(done.stdout)
    assert made["key"] == "k-1"
    assert made["asked"] == {
        "agent": "scribe",
        "input": {"query": "why"},
        "parameters": {"depth": 3, "tone": "dry", "a": "b=c"},
        "labels": {"team": "x"},
        "runtime": "rules",
        "model": "openai:x",
        "context_id": "c-1",
        "timeout_seconds": 60.0,
        "budget": {"tokens": 5_000, "cost_usd": 0.5},
        "id": RUNNING,
    }


def test_the_input_can_be_piped_or_read_from_a_file(tmp_path: Path) -> None:
    piped = crewline("submit", "scribe", "-", "--json", given="from a pipe")
    assert json.loads(piped.stdout)["asked"]["input"] == "from a pipe"
    (tmp_path / "question.txt").write_text("from a file")
    read = crewline("submit", "scribe", f"@{tmp_path}/question.txt", "--json")
    assert json.loads(read.stdout)["asked"]["input"] == "from a file"
    missing = crewline("submit", "scribe", "@nowhere.txt")
    assert missing.returncode == 2
    assert missing.stderr == "crewline: cannot read nowhere.txt: No such file or directory\n"


@pytest.mark.parametrize(
    ("task_id", "code"), [(DONE, 0), (FAILED, 1), (RUNNING, 0), (ASKING, 0), ("unknown", 4)]
)
def test_the_exit_code_of_status_says_how_the_task_stands(task_id: str, code: int) -> None:
    assert in_its_own_process("status", task_id).returncode == code


@pytest.mark.parametrize(("task_id", "code"), [(DONE, 0), (FAILED, 1), (RUNNING, 5), (ASKING, 5)])
def test_the_exit_code_of_waiting_says_whether_it_has_ended(task_id: str, code: int) -> None:
    done = crewline("status", task_id, "--wait", "1", "--json")
    assert done.returncode == code
    assert json.loads(done.stdout)["id"] == task_id


def test_waiting_lasts_until_the_task_has_ended() -> None:
    done = crewline("submit", "scribe", "Count", "--wait")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"words": 2})


def test_documents_are_read_and_data_is_for_machines() -> None:
    assert crewline("status", SEVERAL).stdout == "==> a.md <==\nA\n==> b <==\nB\n"
    told = json.loads(crewline("status", SEVERAL, "--json").stdout)
    assert told["result"]["output"] == {"files": 2}


def test_a_refusal_is_one_line() -> None:
    done = in_its_own_process("submit", "nobody", "Hello")
    assert (done.returncode, done.stdout) == (4, "")
    line = "crewline: no agent is called 'nobody'; there are: scribe (unknown-agent)\n"
    assert done.stderr == line


def test_a_gateway_without_its_broker_counts_as_unreachable() -> None:
    done = crewline("submit", "sleeper", "Hello")
    line = "crewline: the broker is away (log-unavailable, try again in 7 s)\n"
    assert (done.returncode, done.stderr) == (3, line)


def test_a_task_the_views_have_not_read_of_is_waited_for_where_that_is_wanted() -> None:
    done = crewline("status", UNSEEN)
    line = "crewline: it may exist (views-behind, try again in 1 s)\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", line)
    done = crewline("status", UNSEEN, "--wait", "30")
    assert (done.returncode, done.stdout) == (0, "Hello\n")


def test_nobody_there_is_said_in_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    done = in_its_own_process("status", DONE, "--url", nobody)
    assert done.returncode == 3
    assert re.fullmatch(r"crewline: no gateway answers at http://\S+ .*\n", done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "scribe"),
        ("submit", "scribe", "x", "--param", "novalue"),
        ("submit", "scribe", "[1]", "--input-json"),
        ("submit", "scribe", "{", "--input-json"),
        ("status", DONE, "--wait=soon"),
        ("status", DONE, "--url", "ftp://host"),
        ("list", "--limit", "0"),
        ("nonsense",),
    ],
)
def test_a_mistake_in_the_call_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = crewline(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_tail_shows_every_event_once_through_a_broken_stream(script: Script) -> None:
    done = crewline("tail", DONE, "--json")
    events = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert [event["id"] for event in events] == ["1.1", "1.2", "1.3", "1.4", "1.5"]
    assert events[1]["message"] == "half\u2028way"
    assert script.resumed_after == [None, "1.2", "1.5"]
    assert done.returncode == 0


def test_tail_is_readable() -> None:
    seen = crewline("tail", DONE).stdout.splitlines()
    assert seen[0] == "10:20:30.400  task.started          with rules on mill-0"
    assert seen[1].endswith("half way 50%")
    assert seen[2] == "Hello"


def test_following_shows_events_beside_the_result() -> None:
    done = crewline("submit", "scribe", "x", "--id", DONE, "--follow")
    assert done.returncode == 0
    assert done.stdout == f"Two findings.\n{REPORT}"
    assert "task.completed" in done.stderr


@pytest.mark.parametrize("arguments", [("tail", RUNNING), ("status", RUNNING, "--wait")])
def test_an_interrupt_says_how_to_go_on(arguments: tuple[str, ...], script: Script) -> None:
    with subprocess.Popen(
        [*CREWLINE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 20
        while not (script.resumed_after or script.seen[RUNNING] > 1):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert re.search(f"crewline: the task goes on; .* crewline (tail|status) {RUNNING}", complaint)


def test_artifacts_are_saved(tmp_path: Path) -> None:
    for _ in range(2):  # again changes nothing
        done = crewline("status", DONE, "--output", str(tmp_path / "out"))
        assert done.returncode == 0
    assert (tmp_path / "out/docs/report.md").read_text() == REPORT
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 1


def test_artifacts_stay_in_their_folder_and_spare_what_is_there(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "escape.txt").write_text("mine")
    done = crewline("status", NASTY, "--output", str(folder))
    assert done.returncode == 0
    assert list(outside.iterdir()) == []
    assert (folder / "escape.txt").read_text() == "mine"
    saved = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert sorted(saved) == ["1", "2", "3", "4", "5", "mine"]
    assert not (tmp_path / "escape.txt").exists()


def test_lists_go_through_the_pages() -> None:
    done = crewline("list", "--limit", "220", "--label", "team=x", "--json")
    page = json.loads(done.stdout)
    assert len({item["id"] for item in page["items"]}) == 220
    assert page["next_cursor"] == "220"
    assert page["items"][0]["labels"] == {"team": "x"}
    plain = crewline("list").stdout.splitlines()
    assert len(plain) == 20
    assert plain[0].split("\t")[1:3] == ["submitted", "scribe"]
    assert crewline("list", "--state", "odd").returncode == 4


def test_agents_are_listed_and_described() -> None:
    assert crewline("agents").stdout == "scribe\trules, crewai\tWrites what others found.\n"
    assert "capabilities: documentation\n" in crewline("agents", "scribe").stdout
    assert json.loads(crewline("agents", "scribe", "--json").stdout)["name"] == "scribe"
    assert crewline("agents", "smith").returncode == 4


def test_a_terminal_shows_markdown_as_it_is_meant() -> None:
    seen = on_a_terminal("status", DONE)
    assert "completed" in seen
    assert "1020 tokens, $0.0123" in seen
    assert "• " in seen
    assert "# Findings" not in seen


def test_a_result_cannot_command_the_terminal() -> None:
    seen = on_a_terminal("status", NASTY)
    assert "\x1b]0;" not in seen
    assert "[bold]text[/bold]" in seen


def test_no_text_from_outside_rewrites_a_screen_or_shows_another(tmp_path: Path) -> None:
    seen = on_a_terminal("status", HOSTILE) + on_a_terminal("list")
    own = re.sub(r"\x1b\[[0-9;]*m|\r\n", "\n", seen)  # colours, and a terminal's ends of lines
    assert not set(UNSEEN_SIGNS) - set(string.printable) & set(own)
    assert "\x1b" not in own
    assert "Grüße" in own

    told = crewline("status", HOSTILE, "--json", "--output", str(tmp_path / "new"))
    assert told.stdout.replace("\n", "").isprintable()
    value = json.loads(told.stdout)
    assert value["result"]["output"] == {f"key{UNSEEN_SIGNS}": f"Grüße{UNSEEN_SIGNS}"}
    assert told.stderr.replace("\n", "").isprintable()
    (file,) = (tmp_path / "new").iterdir()
    assert f"saved {file}\n" in told.stderr
    assert str(file.name).isprintable()
    assert file.read_text() == f"Grüße{UNSEEN_SIGNS}"

    tail = crewline("tail", DONE, "--json")
    assert tail.stdout.replace("\n", "").isprintable()


def test_progress_is_shown_on_a_terminal_only() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*CREWLINE, "status", RUNNING, "--wait", "3"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ):
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    assert b"working: reading page 3" in seen
    assert in_its_own_process("status", RUNNING, "--wait", "2").stderr == ""


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -c '{CREWLINE[2]}' list --limit 250 --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (f"status {DONE} | true", 0, ""),
        (f"tail {DONE} --json | true", 0, ""),
        (f"status {FAILED} | true", 1, ""),
        (f"status {DONE} >&-", 0, ""),
        (f"tail {DONE} >&- 2>&-", 0, ""),
        (f"status {DONE} > /dev/full", 2, "crewline: cannot write: No space left on device\n"),
        ("--help > /dev/full", 2, "crewline: cannot write: No space left on device\n"),
        ("submit scribe '' --wait=x 2> /dev/full", 2, ""),
        ("submit scribe '' --wait=x 2>&-", 2, ""),
        ("submit scribe - --input-json <&-", 2, "crewline: --input-json: the input is not JSON"),
    ],
)
def test_output_that_nobody_can_hear_changes_no_exit_code(
    redirected: str, code: int, said: str
) -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"\"$0\" -c '{CREWLINE[2]}' {redirected}; exit ${{PIPESTATUS[0]}}",
            CREWLINE[0],
        ],
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr[: len(said) or None]) == (code, said)


def test_no_id_leads_to_all_letters() -> None:
    done = crewline("dlq", "redrive", ".")
    assert (done.returncode, done.stderr) == (2, "crewline: '.' is no name and no id\n")


def test_a_cancel_is_handed_in_with_its_reason() -> None:
    done = crewline("cancel", RUNNING, "--reason", "changed my mind", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["reason"]) == (0, "canceling")
    assert told["asked"] == {"reason": "changed my mind"}
    plain = crewline("cancel", RUNNING)
    assert (plain.returncode, plain.stdout) == (0, f"{RUNNING}\tsubmitted\tcanceling\n")


@pytest.mark.parametrize(
    ("task_id", "code"),
    [(ASKING, 0), (SOON, 1), (RUNNING, 5)],
    ids=["canceled", "ended otherwise", "not yet"],
)
def test_waiting_for_a_cancel_tells_whether_it_came_to_that(task_id: str, code: int) -> None:
    assert crewline("cancel", task_id, "--wait", "4").returncode == code


def test_a_task_that_has_ended_is_not_canceled() -> None:
    done = crewline("cancel", DONE)
    assert done.returncode == 4
    assert "has ended: it is completed (task-ended)" in done.stderr
