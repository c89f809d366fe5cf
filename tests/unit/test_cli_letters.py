"""What `crewline dlq` takes, before any gateway is asked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.entrypoints.cli import app
from app.entrypoints.cli.connection import Gateway
from app.entrypoints.cli.letters_shown import show_letter

LETTER = "5f0c2f34-9a55-5c31-8a55-6f1f0d5e0001"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name one dead letter by its id, or many with --all"),
        ([LETTER, "--all"], "name one dead letter by its id, or many with --all"),
        ([LETTER, "--agent", "scribe"], "--agent: only with --all"),
        (["--all", "--edit", "task.json"], "--edit is for one dead letter"),
        ([LETTER, "--edit", "missing.json"], "cannot read missing.json"),
        (["--all", "--rate", "0"], "--rate"),
    ],
)
def test_a_call_that_makes_no_sense_is_a_usage_error(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["dlq", "redrive", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


def test_an_edited_value_must_be_an_object(tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    file.write_text("[1]")
    done = CliRunner().invoke(app, ["dlq", "redrive", LETTER, "--edit", str(file)])
    assert done.exit_code == 2
    assert "must be a JSON object" in done.stderr


def test_that_there_are_none_is_said_to_people_and_not_to_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(*_: object) -> tuple[dict[str, object], dict[str, str]]:
        return {"items": [], "next_cursor": None}, {}

    monkeypatch.setattr(Gateway, "get", nothing)
    read = CliRunner().invoke(app, ["dlq", "list"])
    assert (read.exit_code, read.stdout) == (0, "")
    assert read.stderr == "crewline: no dead letters found\n"
    parsed = CliRunner().invoke(app, ["dlq", "list", "--json"])
    assert (json.loads(parsed.stdout)["items"], parsed.stderr) == ([], "")


def test_a_letter_is_shown_without_what_could_rewrite_a_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_letter(
        {
            "state": "waiting",
            "reason": "poison",
            "detail": "bad\n\x1b]0;owned\x07 thing",
            "origin": {"topic": "t", "partition": 0, "offset": 7, "timestamp": "then"},
            "history": [{"number": 1, "state": "failed", "worker_id": "w", "error": None}],
            "headers": [{"name": "h\x1b", "value": {"base64": "/w=="}}],
            "key": None,
            "value": {"text": "line one\nline \x1btwo"},
        }
    )
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "from: t/0@7 at then" in said
    assert "run 1: failed on w" in said
    assert "header h: base64 /w==" in said
    assert said.endswith("line one\nline two\n")
