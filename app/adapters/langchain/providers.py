"""What we know about the providers: their keys, their addresses, their wishes at construction."""

import importlib.util
import os
from collections.abc import Mapping
from types import MappingProxyType

from app.ports.chat_model import UnknownModel

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "anthropic": ("ANTHROPIC_API_KEY",),
        "azure_openai": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
        "cohere": ("COHERE_API_KEY",),
        "deepseek": ("DEEPSEEK_API_KEY",),
        "google_genai": ("GOOGLE_API_KEY",),
        "groq": ("GROQ_API_KEY",),
        "mistralai": ("MISTRAL_API_KEY",),
        "openai": ("OPENAI_API_KEY",),
        "openrouter": ("OPENROUTER_API_KEY",),
        "xai": ("XAI_API_KEY",),
    }
)
"""The variables a provider's SDK reads; one that is not listed needs none that we know of."""

_OPENAI_URLS = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
_AZURE_API_VERSION = "2024-10-21"
_OLLAMA = "http://127.0.0.1:11434"


class Providers:
    """The providers as this process may use them.

    `base_urls` overrules where a provider is found; without it its SDK's own variables count.
    """

    def __init__(self, environ: Mapping[str, str], base_urls: Mapping[str, str]) -> None:
        self._environ = environ
        self._base_urls = base_urls

    def missing_keys(self, provider: str) -> tuple[str, ...]:
        """The variables that are not set; none for a server of one's own, which needs no key."""
        if provider == "openai" and self._openai_url():
            return ()
        return tuple(
            name
            for name in KEYS.get(provider, ())
            if not self._environ.get(name)
            and not (name.endswith("_ENDPOINT") and provider in self._base_urls)
        )

    def construction(self, provider: str, name: str) -> tuple[str, dict[str, object]]:
        """The provider LangChain shall be told, and what its chat model is built with."""
        url = self._base_urls.get(provider)
        match provider:
            case "openai":
                return provider, self._openai()
            case "azure_openai":
                return provider, self._azure(url, name)
            case "ollama":
                return self._ollama(url)
            case _:
                return provider, {"base_url": url} if url else {}

    def _openai_url(self) -> str | None:
        found = (self._environ.get(variable) for variable in _OPENAI_URLS)
        return self._base_urls.get("openai") or next(filter(None, found), None)

    def _openai(self) -> dict[str, object]:
        url = self._openai_url()
        if url is None:
            return {"stream_usage": True}
        key = self._environ.get("OPENAI_API_KEY") or "none"
        return {"stream_usage": True, "base_url": url, "api_key": key}

    def _azure(self, url: str | None, deployment: str) -> dict[str, object]:
        version = self._environ.get("OPENAI_API_VERSION") or _AZURE_API_VERSION
        about: dict[str, object] = {"azure_deployment": deployment, "api_version": version}
        return {**about, "stream_usage": True, **({"azure_endpoint": url} if url else {})}

    def _ollama(self, url: str | None) -> tuple[str, dict[str, object]]:
        """Ollama by its own integration where that is installed, else by its OpenAI dialect."""
        url = (url or _as_url(self._environ.get("OLLAMA_HOST", ""))).rstrip("/")
        if importlib.util.find_spec("langchain_ollama"):
            return "ollama", {"base_url": url}
        dialect = {"base_url": f"{url}/v1", "api_key": "ollama", "stream_usage": True}
        return "openai", dialect


def missing_keys(model: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables this model needs and has not got; asking loads no part of LangChain."""
    provider, _ = split(model)
    return Providers(environ, {}).missing_keys(provider)


def split(model: str) -> tuple[str, str]:
    """The provider and the name in `provider:name`; raise `UnknownModel` where it is not both."""
    provider, colon, name = model.partition(":")
    if not (provider and colon and name):
        raise UnknownModel(f"{model!r} names no model; write provider:name, as openai:gpt-4.1-mini")
    return provider, name


def _as_url(host: str) -> str:
    """`OLLAMA_HOST` as Ollama reads it: a URL, or a host with or without its port."""
    host = host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it listens, not where to call
    if not host:
        return _OLLAMA
    if "://" in host:
        return host
    return f"http://{host}" if ":" in host else f"http://{host}:11434"
