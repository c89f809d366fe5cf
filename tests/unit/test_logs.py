"""Logs are one line each, in one form, without secrets, wherever they come from."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import EventDict, WrappedLogger

from app.domain.model.redaction import mask_secrets
from app.entrypoints.logs import configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_our_own_logs_and_a_librarys_look_the_same(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    structlog.get_logger("app.worker").info("task finished", agent="scribe")
    logging.getLogger("uvicorn.error").warning(
        "Started on %s", "http://127.0.0.1:8000", extra={"color_message": "Started"}
    )
    ours, theirs = lines(stream)
    assert list(ours) == ["ts", "level", "logger", "event", "agent"]
    assert (ours["level"], ours["logger"], ours["event"]) == ("info", "app.worker", "task finished")
    assert list(theirs) == ["ts", "level", "logger", "event"]
    assert theirs["event"] == "Started on http://127.0.0.1:8000"
    for line in (ours, theirs):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["ts"]))


def test_what_is_bound_goes_with_every_line(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    with structlog.contextvars.bound_contextvars(task_id="t-1"):
        structlog.get_logger("app").info("ours")
        logging.getLogger("aiokafka").warning("theirs", extra={"topic": "x"})
    assert [line["task_id"] for line in lines(stream)] == ["t-1", "t-1"]
    assert lines(stream)[1]["topic"] == "x"


def test_others_can_add_fields(stream: io.StringIO) -> None:
    def span(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**event, "trace_id": "0af7", "span_id": "b7ad"}

    configure_logging(stream=stream, extra_processors=[span])
    structlog.get_logger("app").info("ours")
    logging.getLogger("alembic").warning("theirs")
    assert [line["trace_id"] for line in lines(stream)] == ["0af7", "0af7"]


def test_an_error_keeps_its_traceback_in_one_line(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    try:
        int("no sk-abcdefgh12345")
    except ValueError:
        structlog.get_logger("app").exception("run failed")
    (line,) = lines(stream)
    assert "with base 10: 'no ***" in str(line["exception"])


def test_secrets_and_prompts_are_not_written(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    structlog.get_logger("app").info(
        "configured",
        password="hunter2",
        sasl={"api_key": "k", "user": "me"},
        token="abc",
        input_tokens=12,
        prompt="Tell me all",
        messages=[{"role": "user", "content": "Tell me all"}],
        url="postgresql+asyncpg://me:hunter2@db/views",
        headers=["Bearer abcdefghijkl"],
    )
    text = stream.getvalue()
    assert not re.search("hunter2|Tell me|abcdefgh", text)
    (line,) = lines(stream)
    assert line["input_tokens"] == 12
    assert line["prompt"] == "<11 left out>"
    assert line["sasl"] == {"api_key": "***", "user": "me"}
    assert line["url"] == "postgresql+asyncpg://me:***@db/views"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://u:p@host/x", "https://u:***@host/x"),
        ("redis://:p@host", "redis://:***@host"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("key sk-ant-api03-abcdef", "key ***"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("a basic idea", "a basic idea"),
    ],
)
def test_secrets_are_found_in_texts(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@pytest.mark.parametrize("name", ["openai", "httpx", "anthropic", "httpcore"])
def test_the_talk_with_models_is_not_written_at_any_level(stream: io.StringIO, name: str) -> None:
    configure_logging("DEBUG", stream=stream)
    logging.getLogger(f"{name}._base_client").debug("Request options: all my secrets")
    assert stream.getvalue() == ""


def test_the_first_use_of_a_group_alarms_nobody(stream: io.StringIO) -> None:
    noise = "Group Coordinator Request failed: [Error 15] GroupCoordinatorNotAvailableError"
    kafka = logging.getLogger("aiokafka.consumer.group_coordinator")
    configure_logging(stream=stream)
    kafka.error(noise)
    kafka.error("Heartbeat session expired")
    assert [line["event"] for line in lines(stream)] == ["Heartbeat session expired"]
    configure_logging("DEBUG", stream=stream)
    kafka.error(noise)
    assert lines(stream)[-1]["level"] == "debug"


def test_levels_below_the_chosen_one_are_not_written(stream: io.StringIO) -> None:
    configure_logging("WARNING", stream=stream)
    structlog.get_logger("app").info("quiet")
    structlog.get_logger("app").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_a_terminal_gets_text(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    configure_logging(stream=terminal)
    structlog.get_logger("app").info("hello", agent="scribe")
    assert "\x1b[" in terminal.getvalue()
    assert re.search(r"info.*hello.*agent.*scribe", terminal.getvalue())
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    configure_logging(stream=plain)
    structlog.get_logger("app").info("hello")
    assert "\x1b[" not in plain.getvalue()


def test_a_traceback_on_a_terminal_holds_no_secret(stream: io.StringIO) -> None:
    terminal = Terminal()
    configure_logging(stream=terminal)
    try:
        int("no sk-abcdefgh12345")
    except ValueError:
        structlog.get_logger("app").exception("run failed")
    assert "with base 10: 'no ***" in terminal.getvalue()


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_library_tells_its_steps_only_where_it_is_asked_for_by_name(
    stream: io.StringIO, level: str
) -> None:
    library = logging.getLogger("aiokafka.consumer.group_coordinator")
    configure_logging(level, stream=stream)
    library.info("joining the group")
    assert lines(stream) == []
    configure_logging(level, levels={"aiokafka": "DEBUG"}, stream=stream)
    library.debug("joining the group")
    assert [line["level"] for line in lines(stream)] == ["debug"]
