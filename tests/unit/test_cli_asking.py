"""What a person types means what it should."""

import io
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.entrypoints.cli.artifacts import safe_path
from app.entrypoints.cli.asking import (
    FOREVER,
    budget,
    idempotency_key,
    moment,
    pairs,
    parameters,
    task_input,
    wait_seconds,
    with_wait_value,
)
from app.entrypoints.cli.attempts import attempt_rows
from app.entrypoints.cli.connection import Gateway, segment
from app.entrypoints.cli.events import EventWriter, event_line
from app.entrypoints.cli.following import TaskEvent, parse
from app.entrypoints.cli.outcomes import CommandFailed, Exit, complain, ending
from app.entrypoints.terminal import printable


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["submit", "--wait", "scribe", "x"], ["submit", "--wait=forever", "scribe", "x"]),
        (["submit", "scribe", "x", "--wait"], ["submit", "scribe", "x", "--wait=forever"]),
        (["status", "--wait", "30", "id"], ["status", "--wait=30", "id"]),
        (["status", "id", "--wait", "0.5"], ["status", "id", "--wait=0.5"]),
        (["status", "id", "--wait=7"], ["status", "id", "--wait=7"]),
        (["submit", "a", "--", "--wait"], ["submit", "a", "--", "--wait"]),
        (["--wait", "--wait", "3"], ["--wait=forever", "--wait=3"]),
    ],
)
def test_only_a_number_belongs_to_wait(typed: list[str], meant: list[str]) -> None:
    assert with_wait_value(typed) == meant


def test_waiting_is_for_so_long_or_as_long_as_it_takes() -> None:
    assert wait_seconds(None) is None
    assert wait_seconds(FOREVER) is None
    assert wait_seconds("2.5") == 2.5
    for nonsense in ("soon", "-1", "nan", "inf"):
        with pytest.raises(CommandFailed) as caught:
            wait_seconds(nonsense)
        assert caught.value.code is Exit.USAGE


def test_a_moment_is_a_time_or_how_long_it_is_from_now() -> None:
    assert moment("--not-before", None) is None
    assert moment("--not-before", "2026-01-31T08:00Z") == "2026-01-31T08:00Z"
    later = moment("--not-before", "+2h")
    assert later is not None
    wait = datetime.fromisoformat(later) - datetime.now(UTC)
    assert timedelta(minutes=119) < wait <= timedelta(hours=2)
    for nonsense in ("tomorrow", "+2", "2h", "+999999s", "+-1s"):
        with pytest.raises(CommandFailed, match="--not-before"):
            moment("--not-before", nonsense)


def test_an_event_says_when_a_task_is_tried_again() -> None:
    data = {
        "at": "2026-01-01T00:00:03.000Z",
        "error": {"code": "model-rate-limited", "message": "slow down"},
        "not_before": "2026-01-01T00:01:10.000Z",
    }
    line = event_line(TaskEvent("1.2", "task.retry-scheduled", data))
    assert line.endswith("model-rate-limited: slow down; again at 00:01:10")


def test_attempts_are_shown_where_there_was_more_than_one() -> None:
    first = {
        "number": 1,
        "state": "retrying",
        "worker_id": "worker-1",
        "started_at": "2026-01-01T00:00:01.000Z",
        "error": {"code": "model-rate-limited", "message": "slow\ndown"},
    }
    second = {"number": 2, "state": "completed", "worker_id": None, "started_at": None}
    assert attempt_rows({"attempts": [first]}) == []
    assert attempt_rows({"attempts": [first, second]}) == [
        [
            "attempt 1",
            "retrying",
            "worker-1",
            "2026-01-01T00:00:01",
            "slow down (model-rate-limited)",
        ],
        ["attempt 2", "completed", "", "", ""],
    ]


def test_a_budget_is_made_of_numbers() -> None:
    assert budget(["tokens=5000", "cost_usd=0.5"]) == {"tokens": 5_000, "cost_usd": 0.5}
    for wrong in ("tokens=many", "tokens=true", "tokens"):
        with pytest.raises(CommandFailed, match="--budget"):
            budget([wrong])


def test_parameters_are_json_where_they_can_be() -> None:
    typed = ["n=3", "on=true", "text=hello", "list=[1, 2]", "empty=", "eq=a=b", "nan=NaN"]
    assert parameters(typed) == {
        "n": 3,
        "on": True,
        "text": "hello",
        "list": [1, 2],
        "empty": "",
        "eq": "a=b",
        "nan": "NaN",
    }
    assert pairs("--label", ["n=3"]) == {"n": "3"}


def test_input_that_should_be_an_object_must_be_one() -> None:
    assert task_input('{"a": 1}', as_json=True) == {"a": 1}
    assert task_input('{"a": 1}', as_json=False) == '{"a": 1}'
    for text in ("[]", "3", "{", '{"a":' * 100_000):
        with pytest.raises(CommandFailed, match="--input-json"):
            task_input(text, as_json=True)


def test_an_edited_value_is_called_by_its_own_option() -> None:
    with pytest.raises(CommandFailed, match="--edit: the input is not JSON"):
        task_input("{", as_json=True, option="--edit")


def test_parameters_nested_without_end_are_refused() -> None:
    with pytest.raises(CommandFailed, match="--param: the JSON is nested too deeply"):
        parameters([f"x={'[' * 100_000}"])


def test_an_idempotency_key_is_one_that_can_be_sent_and_protects() -> None:
    assert [idempotency_key(text) for text in (None, "order 4711")] == [None, "order 4711"]
    for text in ("", " ", "ключ", "a\nb", "\udcff"):
        with pytest.raises(CommandFailed, match="--idempotency-key") as failed:
            idempotency_key(text)
        assert failed.value.code == 2


def test_a_segment_leads_nowhere_else() -> None:
    assert [segment(text) for text in ("a b", "a/b", "v1.2", "\udcff")] == [
        "a%20b",
        "a%2Fb",
        "v1.2",
        "%FF",
    ]
    for text in ("", ".", ".."):
        with pytest.raises(CommandFailed, match="no name and no id"):
            segment(text)


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:abc", "http://nö..such"])
def test_an_address_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        Gateway(url)
    assert failed.value.code == 2


@pytest.mark.parametrize("proxy", ["bogus://", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_a_usage_error(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(CommandFailed, match=r"(?i)proxy") as failed:
        Gateway("http://127.0.0.1:1")
    assert failed.value.code == 2


@pytest.mark.parametrize("value", [math.inf, math.nan, "\udcff"])
def test_what_json_cannot_hold_is_said_before_anything_is_sent(value: object) -> None:
    with pytest.raises(CommandFailed) as failed:
        Gateway("http://127.0.0.1:1").post("/v1/tasks", {"input": value}, {}, "")
    assert failed.value.code == 2


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandFailed, match="not UTF-8"):
        task_input(f"@{tmp_path}/picture", as_json=False)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("report.md", "report.md"),
        ("docs/report.md", "docs/report.md"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\windows\\x", "C_/windows/x"),
        ("a/./b//c", "a/b/c"),
        ("..", "artifact"),
        ("", "artifact"),
        ("x\x00y\n", "x_y_"),
        (".github/ci.yml", ".github/ci.yml"),
        ("é" * 300, "é" * 120),
    ],
)
def test_an_artifacts_name_stays_below_its_folder(name: str, path: str) -> None:
    assert safe_path(name) == Path(path)


def test_an_event_stream_is_read_as_the_standard_says() -> None:
    lines = [
        ": a comment",
        "retry: 100",
        "id: 1.1",
        "event: task.started.v1",
        'data: {"runtime":',
        'data: "rules"}',
        "",
        "data: no json",
        "",
        'data:{"type": "crewline.task.completed.v1"}',
        "",
        "id: 1.9",
        "event: cut.off.v1",
    ]
    first, second = parse(iter(lines))
    assert first == TaskEvent("1.1", "task.started", {"runtime": "rules"})
    assert not first.ends
    assert second.type == "task.completed"
    assert second.ends


def test_an_event_is_one_line() -> None:
    at = {"at": "2026-01-01T10:20:30.400Z"}
    call = TaskEvent("1.2", "trace.model-call", {**at, "model": "gpt", "duration_ms": 41.6})
    assert event_line(call) == "10:20:30.400  trace.model-call      gpt 42 ms"
    failed = TaskEvent("1.3", "task.failed", {**at, "error": {"code": "c", "message": "a\nb"}})
    assert event_line(failed) == "10:20:30.400  task.failed           c: a b"


def test_a_models_words_are_joined() -> None:
    stream = io.StringIO()
    writer = EventWriter(stream)
    for text in ("Hel", "lo\x1b[2J"):
        writer.write(TaskEvent("", "trace.token", {"text": text}))
    writer.write(TaskEvent("", "task.completed", {}))
    assert stream.getvalue().splitlines() == ["Hello[2J", "  task.completed"]


def test_endings_have_their_exit_codes() -> None:
    codes = {state: int(ending(state)) for state in ("completed", "canceled", "working", None)}
    assert codes == {"completed": 0, "canceled": 1, "working": 5, None: 5}


def test_a_complaint_is_one_line_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    complain("two\nlines \x1b[31mred\u202e")
    assert capsys.readouterr().err == "crewline: two lines [31mred\n"
    assert printable("tab\tand\nline é 👩‍🚀") == "tab\tand\nline é 👩‍🚀"


def test_standard_input_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    with pytest.raises(CommandFailed, match="cannot read standard input: it is not UTF-8"):
        task_input("-", as_json=False)


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped"))
    assert task_input("-", as_json=False) == "piped"
