"""Secrets in the texts of errors: masked in events, dead letters, spans and answers."""

import pytest

from app.domain.model import redaction
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import RunFailed, Unavailable
from app.domain.model.events import Result, TaskFailed, TraceLog, TraceStep, TraceToolCall
from app.domain.model.redaction import learn_secrets, mask_secrets
from app.entrypoints.gateway.problems import of_platform_error
from app.entrypoints.settings import load_settings
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.task_queue import Undecodable
from tests.builders import submitted
from tests.unit.at_work import delivered, worker


@pytest.fixture(autouse=True)
def _knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", redaction._Known())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://u:p@host/x", "https://u:***@host/x"),
        ("redis://:p#w@host", "redis://:***@host"),
        ("postgresql://me:p@ss@db/views failed", "postgresql://me:***@db/views failed"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("a basic understanding of bicycles", "a basic understanding of bicycles"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("key sk-ant-api03-abcdef", "key ***"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a is it", "*** is it"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2ln and more", "*** and more"),
        ("connect(user='x', password='hunter2')", "connect(user='x', password='***')"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("OPENAI_API_KEY=abcdef is wrong", "OPENAI_API_KEY=*** is wrong"),
        ("GET /x?access_token=abc&n=1", "GET /x?access_token=***&n=1"),
        ("password: hunter2", "password: ***"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("password: is missing", "password: is missing"),
        ("a basic idea of max_tokens=5 tokens", "a basic idea of max_tokens=5 tokens"),
    ],
)
def test_secrets_are_found_by_their_shape(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked
    assert mask_secrets(masked) == masked


def test_secrets_of_this_process_are_found_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWLINE_LIMITS__REDIS_URL", "redis://me:tr%2Foub4dor@127.0.0.1:6379/0")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key of no known shape")
    load_settings()
    said = "tr/oub4dor, tr%2Foub4dor and key of no known shape, said 127.0.0.1"
    assert mask_secrets(said) == "***, *** and ***, said 127.0.0.1"


def test_what_is_too_short_to_be_told_from_other_words_stays() -> None:
    learn_secrets(["a", "", "longer words"])
    assert mask_secrets("a text with longer words") == "a text with ***"


SECRETS = "postgresql://me:hunter2@db and s3cr3t-value and sk-abcdefgh1234"


async def test_an_agents_exception_reaches_nobody_with_its_secrets() -> None:
    learn_secrets(["s3cr3t-value"])

    async def fail(task: TaskInput, context: RunContext) -> Result:
        step = await context.begin("step", "look it up")
        tool = await context.begin("tool", "search", step)
        await context.log(SECRETS)
        await context.report(SECRETS)
        await context.end(tool, error=SECRETS)
        await context.end(step, error=SECRETS)
        raise RunFailed("down", SECRETS, retryable=True)

    at_work = worker(fail)
    await at_work.handle(delivered(submitted("t-1"), failures=99))
    told = [event.model_dump_json() for event in at_work.events]
    assert {type(each) for each in at_work.events} >= {
        TaskFailed, TraceLog, TraceStep, TraceToolCall
    }  # fmt: skip
    [letter] = at_work.letters.letters
    for text in (*told, letter.detail):
        assert not any(each in text for each in ("hunter2", "s3cr3t", "sk-abc")), text
    assert letter.detail == "postgresql://me:***@db and *** and ***"


async def test_a_dead_letter_of_what_is_no_task_quotes_no_secrets() -> None:
    async def never(task: TaskInput, context: RunContext) -> Result:
        raise AssertionError

    at_work = worker(never)
    await at_work.handle(delivered(Undecodable(f"no JSON: {SECRETS}", None, None)))
    [letter] = at_work.letters.letters
    assert isinstance(letter, DeadLetter)
    assert letter.reason is DeadLetterReason.UNDECODABLE
    assert "hunter2" not in letter.detail


def test_an_answer_over_http_quotes_no_secrets() -> None:
    problem = of_platform_error(Unavailable("no way to postgresql://me:hunter2@db"))
    assert b"postgresql://me:***@db" in problem.response("/v1/tasks", "0" * 32).body
