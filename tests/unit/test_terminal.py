"""Texts from outside on their way to a terminal, in the command line and in logs."""

import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.entrypoints.cli.artifacts import safe_path
from app.entrypoints.logs import configure_logging
from app.entrypoints.terminal import printable, printable_json
from tests.unit.test_logs import Terminal, stream

__all__ = ["stream"]

HOSTILE = "a\x1b[2J\x9b31m\x85\x07\u202eb\u2066\u200f\u061c\u2028\ufeff\U000e0041c"
EVERYDAY = "Grüße\tan 東京\n👩\u200d💻 и всё, שלום, علي, 3\u00a0€"


def test_what_rewrites_a_screen_is_left_out() -> None:
    assert printable(HOSTILE) == "a[2J31mb c"


def test_what_people_write_stays() -> None:
    assert printable(EVERYDAY) == EVERYDAY


@given(st.text(st.characters()) | st.text(st.sampled_from(HOSTILE + EVERYDAY + "\ud800")))
def test_json_is_of_the_same_value_and_prints(text: str) -> None:
    shown = printable_json(json.dumps({"k": text, text: [text]}, indent=2, ensure_ascii=False))
    assert json.loads(shown) == {"k": text, text: [text]}
    assert shown.replace("\n", "").isprintable()


@given(st.text(st.characters(), max_size=300))
def test_a_files_name_shows_what_it_is(name: str) -> None:
    path = str(safe_path(name))
    assert printable(path) == path


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_log_shows_nothing_that_rewrites_a_screen(format_: str) -> None:
    out = Terminal()
    configure_logging(format=format_, stream=out)  # type: ignore[arg-type]
    structlog.get_logger("app").warning(
        HOSTILE, text=HOSTILE, nested={HOSTILE: [HOSTILE]}, error=ValueError(HOSTILE), n=1
    )
    broken = ValueError(HOSTILE)
    logging.getLogger("their").error("theirs: %s", HOSTILE, exc_info=broken)
    text = out.getvalue()
    for colour in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):
        text = text.replace(colour, "")
    assert not set("\x9b\x85\x07\u202e\u2066\u200f\u061c\u2028\ufeff\U000e0041") & set(text)
    assert "\x1b[2J" not in text
