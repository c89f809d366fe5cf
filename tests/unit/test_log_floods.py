"""A warning that is said over and over is written a few times, then counted."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from app.entrypoints.log_floods import FloodFilter

_LIBRARY = "aiokafka.cluster"


class Written(logging.Handler):
    """Keeps what a handler with a flood filter would write, on a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lines: list[logging.LogRecord] = []
        self.floods = FloodFilter(self.handle, every=60, silence=15, clock=lambda: self.now)
        self.addFilter(self.floods)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)

    def say(self, text: str, *args: object, level: int = logging.ERROR, **extra: object) -> None:
        record = logging.LogRecord(_LIBRARY, level, "", 0, text, args, None)
        record.__dict__.update(extra)
        self.handle(record)


@pytest.fixture
def written() -> Iterator[Written]:
    handler = Written()
    yield handler
    handler.now += 1_000
    handler.floods.close_silent()


def test_a_flood_is_written_once_counted_each_minute_and_ended(written: Written) -> None:
    for second in range(130):
        for _ in range(20):
            written.now = float(second)
            written.say("Topic %s not found in cluster metadata", "crewline.control")
    first, *counts = written.lines
    assert not hasattr(first, "repeated")
    assert [(line.repeated, line.seconds) for line in counts] == [(1_200, 60), (2_400, 120)]  # type: ignore[attr-defined]
    written.now = 129 + 15
    written.floods.close_silent()
    end = written.lines[-1]
    assert end.levelno == logging.INFO
    assert end.getMessage() == (
        "no longer said: Topic crewline.control not found in cluster metadata"
    )
    assert (end.repeated, end.seconds) == (2_599, 129)  # type: ignore[attr-defined]


def test_a_few_kinds_of_one_message_are_all_written(written: Written) -> None:
    for _ in range(10):
        for topic in "abcde":
            written.say("Topic %s not found in cluster metadata", topic)
    assert [line.getMessage()[:7] for line in written.lines] == ["Topic a", "Topic b", "Topic c"]


def test_what_is_said_again_after_a_silence_is_written_again(written: Written) -> None:
    written.say("it rains")
    written.now = 20
    written.floods.close_silent()
    written.say("it rains")
    assert len(written.lines) == 2, "nothing was held back, so there is no end to tell"


def test_lines_of_tasks_and_lines_below_warning_are_always_written(written: Written) -> None:
    for _ in range(50):
        written.say("raised", task_id="t-1")
        written.say("started", level=logging.INFO)
        with structlog.contextvars.bound_contextvars(task_id="t-2"):
            written.say("raised")
    assert len(written.lines) == 150


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Topic x.control not found in cluster metadata", "topics apply"),
        ('Unable connect to "127.0.0.1:9092": refused', "BOOTSTRAP_SERVERS"),
        ("Topic x.control is not authorized for this client", "access"),
    ],
)
def test_the_kafka_librarys_messages_say_what_to_do(
    written: Written, text: str, advice: str
) -> None:
    written.say(text)
    assert advice in written.lines[0].advice  # type: ignore[attr-defined]


def test_what_no_flood_is_kept_for_is_written(written: Written) -> None:
    for number in range(1_500):
        written.say(f"message {number}")
    assert len(written.lines) == 1_500


def test_lines_with_other_fields_are_other_lines(written: Written) -> None:
    for provider in ("openai", "openai", "anthropic"):
        written.say("a provider does not answer", provider=provider)
    assert [line.provider for line in written.lines] == ["openai", "anthropic"]  # type: ignore[attr-defined]


def test_every_traceback_is_written(written: Written) -> None:
    for _ in range(20):
        written.say("request failed", exc_info=(ValueError, ValueError("x"), None))
    assert len(written.lines) == 20


def test_a_broken_message_is_left_to_the_handler(written: Written) -> None:
    written.say("a %s %s", 1)
    assert len(written.lines) == 1


def test_warnings_that_share_a_template_without_words_are_told_apart(written: Written) -> None:
    for number in range(10):
        written.say("%s", f"warning {number}")
    assert len(written.lines) == 10
