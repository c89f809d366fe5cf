"""Fixtures for tests that run against the scripted server: name this module in `pytest_plugins`."""

from collections.abc import AsyncIterator

import pytest

from app.adapters.langchain.chat_models import LangChainChatModels
from tests.model_server.server import ModelServer


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    """A provider of its own for each test."""
    async with ModelServer() as server:
        yield server


@pytest.fixture
def chat_models(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> LangChainChatModels:
    """The real SDKs, all of them pointed at the scripted server."""
    for name in ("OPENAI", "ANTHROPIC", "AZURE_OPENAI"):
        monkeypatch.setenv(f"{name}_API_KEY", "test")
    urls = {
        "openai": model_server.openai_url,
        "anthropic": model_server.url,
        "azure_openai": model_server.url,
    }
    return LangChainChatModels(timeout=5, base_urls=urls)
