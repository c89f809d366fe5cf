"""Answers that are cut, refused, uncounted or broken in the middle, by the vendors' own SDKs."""

import math
from typing import Any

import anthropic
import openai
import pytest

from app.adapters.langchain.chat_models import LangChainChatModels
from app.ports.chat_model import (
    AnswerCut,
    ChatMessage,
    ChatRequest,
    ContextTooLong,
    EmptyAnswer,
    ModelDeclined,
    ModelFailed,
    ModelRateLimited,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
    ModelUnreachable,
    Schema,
    UnknownModel,
    UnreadableAnswer,
)
from app.ports.sdk_errors import translated
from tests.model_server import CallTools, Fail, ModelServer, Spoil, Text
from tests.scripted_models import QUESTION

pytest_plugins = ["tests.model_server.fixtures"]

OPENAI = "openai:gpt-4.1-mini"
ANTHROPIC = "anthropic:claude-sonnet-5"
EVERY = pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, "azure_openai:our-gpt"])
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


async def asked(
    models: LangChainChatModels, model: str, streamed: bool, request: ChatRequest = QUESTION
) -> ModelFailed:
    """The failure of a question that has to fail."""
    with pytest.raises(ModelFailed) as raised:
        await models.ask(model, request, (lambda _: None) if streamed else None)
    return raised.value


@EVERY
@STREAMED
@pytest.mark.parametrize(
    ("reason", "failure", "retryable"),
    [
        ("length", AnswerCut, False),
        ("max_tokens", AnswerCut, False),
        ("MAX_TOKENS", AnswerCut, False),
        ("model_length", AnswerCut, False),
        ("pause_turn", AnswerCut, False),
        ("model_context_window_exceeded", AnswerCut, False),
        ("content_filter", ModelDeclined, False),
        ("SAFETY", ModelDeclined, False),
        ("PROHIBITED_CONTENT", ModelDeclined, False),
        ("refusal", ModelDeclined, False),
        ("error", ModelUnavailable, True),
        ("MALFORMED_FUNCTION_CALL", ModelUnavailable, True),
        ("OTHER", ModelUnavailable, True),
    ],
)
async def test_half_an_answer_is_not_taken_for_a_whole_one(
    model_server: ModelServer,
    chat_models: LangChainChatModels,
    model: str,
    streamed: bool,
    reason: str,
    failure: type[ModelFailed],
    retryable: bool,
) -> None:
    model_server.script(Text("Half of what", ends=reason, input_tokens=21, output_tokens=4_000))
    failed = await asked(chat_models, model, streamed)
    assert type(failed) is failure
    assert failed.retryable is retryable
    assert "Half of what" in failed.message
    assert failed.answer is not None
    assert (failed.answer.input_tokens, failed.answer.output_tokens) == (21, 4_000)


@EVERY
async def test_a_stream_that_ends_without_a_reason_was_broken_off(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str
) -> None:
    model_server.script(Text("Half of what", ends=None))
    failed = await asked(chat_models, model, streamed=True)
    assert type(failed) is ModelUnreachable
    assert failed.retryable
    assert failed.answered


@EVERY
@STREAMED
async def test_a_refusal_keeps_its_words_and_is_no_empty_answer(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str, streamed: bool
) -> None:
    model_server.script(Text("I cannot help with that.", refuses=True))
    failed = await asked(chat_models, model, streamed)
    assert type(failed) is ModelDeclined
    assert not failed.retryable
    assert "I cannot help with that." in failed.message


async def test_data_that_was_cut_or_refused_is_told_as_that(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    schema: Schema = {
        "title": "Place",
        "type": "object",
        "properties": {"town": {"type": "string"}},
    }
    request = ChatRequest(QUESTION.messages, answer_schema=schema)
    for step, failure in (
        (Text('{"town": "Gr', ends="length"), AnswerCut),
        (Text("I cannot.", refuses=True), ModelDeclined),
        (Text('{"town": "Gr', ends="content_filter"), ModelDeclined),
        (Text("no data"), UnreadableAnswer),
    ):
        model_server.script(step)
        assert type(await asked(chat_models, OPENAI, False, request)) is failure


@pytest.mark.parametrize("reason", ["stop", "eos_token", "COMPLETE", "STOP", "our_own_word"])
async def test_other_words_for_the_end_of_an_answer_are_taken(
    model_server: ModelServer, chat_models: LangChainChatModels, reason: str
) -> None:
    model_server.script(Text("All of it.", ends=reason))
    assert (await chat_models.ask(OPENAI, QUESTION, lambda _: None)).text == "All of it."


async def test_tools_are_called_as_before(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    model_server.script(CallTools.one("weather", town="Graz"))
    for model in (OPENAI, ANTHROPIC):
        assert (await chat_models.ask(model, QUESTION, lambda _: None)).tool_calls


USAGES: list[object] = [
    None,
    {},
    [1, 2],
    "many",
    *(
        {"prompt_tokens": asked_, "completion_tokens": 7, "total_tokens": 9}
        | {"input_tokens": asked_, "output_tokens": 7}
        for asked_ in (0, -5, 10**12, 10**40, math.nan, math.inf, 1.5, "many", [1])
    ),
    {"prompt_tokens": 5, "completion_tokens": -7, "total_tokens": -2}
    | {"input_tokens": 5, "output_tokens": -7},
]


@EVERY
@STREAMED
@pytest.mark.parametrize("usage", USAGES, ids=repr)
async def test_an_answer_whose_tokens_nobody_counted_is_estimated(
    model_server: ModelServer,
    chat_models: LangChainChatModels,
    model: str,
    streamed: bool,
    usage: object,
) -> None:
    model_server.script(Text("x" * 400, usage=usage))
    answer = await chat_models.ask(model, QUESTION, (lambda _: None) if streamed else None)
    assert answer.text == "x" * 400
    assert not answer.counted
    assert answer.input_tokens == QUESTION.about_input_tokens
    assert (answer.output_tokens, answer.cached_tokens) == (100, 0)


async def test_counts_that_come_with_every_piece_are_not_added_up(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    model_server.script(Text("one two three", input_tokens=40, output_tokens=3, counts_often=True))
    answer = await chat_models.ask(OPENAI, QUESTION, lambda _: None)
    assert (answer.input_tokens, answer.output_tokens, answer.counted) == (40, 3, True)


@EVERY
@STREAMED
@pytest.mark.parametrize(
    ("step", "failure"),
    [
        (Spoil("json"), ModelUnavailable),
        (Spoil("gzip"), ModelUnavailable),
        (Spoil("chunk"), ModelUnreachable),
        (Spoil("error"), ModelUnavailable),
        (Spoil("error", "overloaded_error"), ModelUnavailable),
        (Spoil("error", "rate_limit_error"), ModelRateLimited),
        (Spoil("error", "insufficient_quota"), ModelRefused),
        (Spoil("error", "authentication_error"), ModelUnauthorized),
        (Spoil("error", "invalid_request_error"), ModelRefused),
        (Spoil("error", "invalid_request_error", "prompt is too long: 9000"), ContextTooLong),
        (Spoil("error", "not_found_error"), UnknownModel),
        (Spoil("error", "content_filter"), ModelDeclined),
        (Fail(400, "filtered", "content_filter", "content_filter"), ModelDeclined),
        (Fail(402, "no credit"), ModelRefused),
    ],
    ids=str,
)
async def test_what_goes_wrong_after_the_status_200_is_told_apart(
    model_server: ModelServer,
    chat_models: LangChainChatModels,
    model: str,
    streamed: bool,
    step: Spoil | Fail,
    failure: type[ModelFailed],
) -> None:
    model_server.script(step)
    failed = await asked(chat_models, model, streamed)
    assert type(failed) is failure
    assert len(model_server.seen) == 1
    if streamed and isinstance(step, Spoil):
        assert failed.answered, "there were words before"


@pytest.mark.parametrize("around", ["{}\n", " {}", "{}\r\n", "\t{} "])
@pytest.mark.parametrize("name", ["OPENAI", "ANTHROPIC"])
async def test_what_is_around_a_key_is_left_out(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, name: str, around: str
) -> None:
    monkeypatch.setenv(f"{name}_API_KEY", around.format("sk-test-1234"))
    monkeypatch.setenv("OPENAI_BASE_URL", around.format(model_server.openai_url))
    models = LangChainChatModels(timeout=5, base_urls={"anthropic": model_server.url})
    model = OPENAI if name == "OPENAI" else ANTHROPIC
    assert (await models.ask(model, QUESTION)).text == "All is well."
    headers = model_server.seen[0].headers
    assert "sk-test-1234" in (headers.get("authorization", ""), headers.get("x-api-key", "")) or (
        headers["authorization"] == "Bearer sk-test-1234"
    )


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("sk-te\nst", "line break"),
        ("sk-te st", "space"),
        ('"sk-test"', "quotes"),
        ("'sk-test'", "quotes"),
        ("sk-t\u00e9st", "letter"),
        ("sk\u2013test", "letter"),
        ("sk-test\u200b", "letter"),
        ("sk-te\x00st", "letter"),
        ("sk-...", "example"),
        ("your-api-key", "example"),
        ("<your key>", "space"),
        ("<key>", "example"),
        ("changeme", "example"),
        ("sk-xxxxxxxxxxxxxxxx", "example"),
    ],
)
@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, "groq:llama", "azure_openai:our-gpt"])
async def test_a_key_that_cannot_work_is_said_before_anything_is_sent(
    model: str, key: str, why: str
) -> None:
    name = f"{model.partition(':')[0].upper()}_API_KEY"
    environ = {name: key, "AZURE_OPENAI_ENDPOINT": "https://ours.example"}
    models = LangChainChatModels(environ=environ)
    assert models.missing_keys(model) == ()
    [fault] = models.key_faults(model)
    assert fault.startswith(name)
    assert why in fault
    assert key not in fault
    with pytest.raises(ModelUnauthorized, match=name):
        await models.ask(model, QUESTION)


async def test_a_key_of_spaces_is_missing() -> None:
    assert LangChainChatModels(environ={"OPENAI_API_KEY": " \n"}).missing_keys(OPENAI) == (
        "OPENAI_API_KEY",
    )


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC])
def test_a_server_of_ones_own_takes_any_key(model: str) -> None:
    name = model.partition(":")[0].upper()
    environ = {f"{name}_API_KEY": "none", f"{name}_BASE_URL": "http://127.0.0.1:8000/v1"}
    assert LangChainChatModels(environ=environ).key_faults(model) == ()


@pytest.mark.parametrize("url", ['"http://127.0.0.1"', "127.0.0.1:8000", "ftp://x", "http://a b"])
async def test_an_address_that_cannot_be_asked_is_said_before(url: str) -> None:
    models = LangChainChatModels(environ={"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": url})
    [fault] = models.key_faults(OPENAI)
    assert fault.startswith("OPENAI_BASE_URL")
    with pytest.raises(ModelUnauthorized, match="OPENAI_BASE_URL"):
        await models.ask(OPENAI, QUESTION)


@pytest.mark.parametrize(
    ("model", "key"), [(OPENAI, "sk-te\nst"), (OPENAI, "sk-t\u00e9st"), (ANTHROPIC, "sk-te\nst")]
)
async def test_a_header_that_cannot_be_sent_is_not_tried_again(
    model_server: ModelServer, model: str, key: str
) -> None:
    """As where a crew brings a model of its own, past our look at keys."""
    failed = translated(await _of_an_sdk(model, model_server.url, key), model)
    assert type(failed) is ModelUnauthorized
    assert not failed.retryable
    assert not model_server.seen


async def _of_an_sdk(model: str, url: str, key: str) -> Exception:
    turn: Any = {"role": "user", "content": "x"}
    try:
        if model == ANTHROPIC:
            theirs = anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0)
            await theirs.messages.create(model="x", max_tokens=5, messages=[turn])
        else:
            client = openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0)
            await client.chat.completions.create(model="x", messages=[turn])
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("it was sent")


async def test_an_answer_of_nothing_says_what_it_took(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    model_server.script(Text("", input_tokens=30, output_tokens=2_000))
    failed = await asked(chat_models, OPENAI, streamed=True)
    assert type(failed) is EmptyAnswer
    assert failed.answer is not None
    assert failed.answer.output_tokens == 2_000


def test_the_estimate_of_a_request_can_be_made_of_any_text() -> None:
    assert ChatRequest((ChatMessage("user", "half \ud83d"),)).about_input_tokens > 0
