"""The chat models over real HTTP: the vendors' SDKs against the scripted model_server."""

import asyncio

import pytest
from langchain.chat_models.base import _BUILTIN_PROVIDERS

from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.langchain.providers import missing_keys
from app.entrypoints.settings.providers import PROVIDERS
from app.ports.chat_model import (
    ChatMessage,
    ChatRequest,
    ContextTooLong,
    EmptyAnswer,
    ModelFailed,
    ModelRateLimited,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
    ModelUnreachable,
    ToolCall,
    ToolOffer,
    UnknownModel,
)
from tests.model_server import (
    CallTools,
    Drop,
    Fail,
    Garble,
    Hang,
    ModelServer,
    Text,
    context_overflow,
    overloaded,
    rate_limited,
    unauthorized,
)

pytest_plugins = ["tests.model_server.fixtures"]

OPENAI = "openai:gpt-4.1-mini"
ANTHROPIC = "anthropic:claude-sonnet-5"
EVERY = pytest.mark.parametrize("model", [OPENAI, ANTHROPIC])
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
QUESTION = ChatRequest((ChatMessage("system", "Be brief."), ChatMessage("user", "How are you?")))
WEATHER = ToolOffer(
    name="weather",
    description="Tells the weather.",
    arguments={"type": "object", "properties": {"town": {"type": "string"}}},
)


def ignore(text: str) -> None:
    """Ask for a stream without reading it."""


@EVERY
@STREAMED
async def test_a_question_is_answered(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str, streamed: bool
) -> None:
    model_server.script(Text("Very well, thank you.", input_tokens=21, output_tokens=5))
    pieces: list[str] = []
    answer = await chat_models.ask(model, QUESTION, pieces.append if streamed else None)
    assert answer.text == "Very well, thank you."
    assert (answer.input_tokens, answer.output_tokens) == (21, 5)
    assert answer.finish_reason in {"stop", "end_turn"}
    assert model_server.seen[0].texts == ["Be brief.", "How are you?"]
    if streamed:
        assert pieces == ["Very", " well,", " thank", " you."]


@EVERY
@STREAMED
async def test_half_a_character_is_answered_as_the_sign_for_none(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str, streamed: bool
) -> None:
    model_server.script(Text("half \ud83d"))
    answer = await chat_models.ask(model, QUESTION, ignore if streamed else None)
    assert answer.text == "half \N{REPLACEMENT CHARACTER}"


@EVERY
@STREAMED
async def test_a_tool_is_called_and_its_outcome_told(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str, streamed: bool
) -> None:
    model_server.script(CallTools.one("weather", town="Graz"), Text("Sunny."))
    asking = ChatRequest(QUESTION.messages, tools=(WEATHER,))
    answer = await chat_models.ask(model, asking, ignore if streamed else None)
    (call,) = answer.tool_calls
    assert (call.name, call.arguments) == ("weather", {"town": "Graz"})
    assert model_server.seen[0].tools == ["weather"]
    told = ChatMessage("tool", "The sun shines.", answers=call.id)
    turns = (*QUESTION.messages, ChatMessage("assistant", "", (call,)), told)
    assert (await chat_models.ask(model, ChatRequest(turns, (WEATHER,)))).text == "Sunny."
    assert "The sun shines." in model_server.seen[1].texts[-1]


async def test_data_is_answered_as_data(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    model_server.script(Text('{"town": "Graz"}'))
    schema = {"title": "Place", **WEATHER.arguments}
    answer = await chat_models.ask(OPENAI, ChatRequest(QUESTION.messages, answer_schema=schema))
    assert answer.data == {"town": "Graz"}


@EVERY
@STREAMED
@pytest.mark.parametrize(
    ("step", "failure"),
    [
        (rate_limited(), ModelRateLimited),
        (overloaded(), ModelUnavailable),
        (Fail(500), ModelUnavailable),
        (Fail(529, kind="overloaded_error"), ModelUnavailable),
        (unauthorized(), ModelUnauthorized),
        (Fail(403), ModelUnauthorized),
        (Fail(404, "no such model"), UnknownModel),
        (Fail(400, "bad temperature", "invalid_request_error"), ModelRefused),
        (context_overflow(), ContextTooLong),
        (Text(""), EmptyAnswer),
        (Drop(), ModelUnreachable),
    ],
    ids=lambda value: getattr(value, "__name__", None) or f"{getattr(value, 'status', value)}",
)
async def test_each_failure_has_its_type_and_is_asked_once(
    model_server: ModelServer,
    chat_models: LangChainChatModels,
    model: str,
    streamed: bool,
    step: Fail | Text | Drop,
    failure: type[ModelFailed],
) -> None:
    model_server.script(step)
    with pytest.raises(failure) as raised:
        await chat_models.ask(model, QUESTION, ignore if streamed else None)
    assert type(raised.value) is failure
    assert len(model_server.seen) == 1
    if failure is ModelRateLimited:
        assert raised.value.retry_after == 7
    if isinstance(step, Fail):
        assert raised.value.status == step.status


async def test_a_body_that_is_no_json_means_the_provider_is_out_of_order(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    model_server.script(Garble())
    with pytest.raises(ModelUnavailable):
        await chat_models.ask(OPENAI, QUESTION)


@EVERY
async def test_no_answer_in_time_is_unreachable(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    urls = {"openai": model_server.openai_url, "anthropic": model_server.url}
    model_server.script(Hang())
    with pytest.raises(ModelUnreachable):
        await LangChainChatModels(timeout=0.3, base_urls=urls).ask(model, QUESTION)


@EVERY
async def test_nobody_listening_is_unreachable(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    nowhere = {"openai": "http://127.0.0.1:9/v1", "anthropic": "http://127.0.0.1:9"}
    with pytest.raises(ModelUnreachable):
        await LangChainChatModels(timeout=5, base_urls=nowhere).ask(model, QUESTION)


@EVERY
@STREAMED
async def test_cancelling_closes_the_connection(
    model_server: ModelServer, chat_models: LangChainChatModels, model: str, streamed: bool
) -> None:
    model_server.script(Hang())
    asking = asyncio.create_task(chat_models.ask(model, QUESTION, ignore if streamed else None))
    request = await model_server.until_asked(within=60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(10):
        await request.abandoned.wait()


async def test_azure_is_asked_at_its_deployment(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    assert (await chat_models.ask("azure_openai:our-gpt", QUESTION)).text == "All is well."
    assert "/deployments/our-gpt/" in model_server.seen[0].path


async def test_ollama_is_asked_without_a_key(model_server: ModelServer) -> None:
    host = model_server.url.removeprefix("http://")
    chat_models = LangChainChatModels(timeout=5, environ={"OLLAMA_HOST": host})
    assert chat_models.missing_keys("ollama:llama3.1") == ()
    assert (await chat_models.ask("ollama:llama3.1", QUESTION)).text == "All is well."


async def test_parameters_reach_the_provider(
    model_server: ModelServer, chat_models: LangChainChatModels
) -> None:
    await chat_models.ask(OPENAI, ChatRequest(QUESTION.messages, temperature=0.5, max_tokens=99))
    assert model_server.seen[0].body["temperature"] == 0.5
    assert model_server.seen[0].body["max_completion_tokens"] == 99


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "openai:", "nobody:x", "groq:x"])
async def test_a_model_nobody_serves_is_unknown(model: str) -> None:
    chat_models = LangChainChatModels(environ={"GROQ_API_KEY": "x"})
    with pytest.raises(UnknownModel, match=model):
        await chat_models.ask(model, QUESTION)


async def test_a_missing_key_is_named_before_anything_is_sent() -> None:
    chat_models = LangChainChatModels(environ={})
    assert chat_models.missing_keys(OPENAI) == ("OPENAI_API_KEY",)
    assert missing_keys(OPENAI, {}) == ("OPENAI_API_KEY",)
    assert missing_keys(OPENAI, {"OPENAI_API_KEY": "x"}) == ()
    assert chat_models.missing_keys("azure_openai:x") == (
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_ENDPOINT",
    )
    with pytest.raises(ModelUnauthorized, match="OPENAI_API_KEY"):
        await chat_models.ask(OPENAI, QUESTION)


def test_a_server_of_ones_own_needs_no_key() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}
    assert LangChainChatModels(environ=environ).missing_keys(OPENAI) == ()


def test_what_a_model_reads_is_known_for_the_usual_ones(chat_models: LangChainChatModels) -> None:
    assert chat_models.input_limit("openai:gpt-4o-mini") == 128_000
    assert chat_models.input_limit("openai:our-own") is None


def test_a_tool_call_is_plain_data() -> None:
    assert ToolCall("1", "weather", {"town": "Graz"}).arguments["town"] == "Graz"


def test_limits_may_be_set_for_every_provider_there_is() -> None:
    assert frozenset(_BUILTIN_PROVIDERS) == PROVIDERS
