"""What we know about the providers: their keys, their addresses, their wishes at construction."""

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
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
_SECRETS = frozenset(name for names in KEYS.values() for name in names if name.endswith("_KEY"))

_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|\{.*\}|.*\.\.\.|.*x{8,}.*|\*+"
    r"|(sk[-_])?(your|insert|enter|paste)[-_ ].*"
    r"|(sk[-_])?(change[-_]?me|replace[-_]?me|placeholder|todo|(api[-_]?)?key([-_]here)?|none|null)",
    re.IGNORECASE,
)
"""What stands for a key in people's examples; a server of one's own may be content with it."""

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

    def _value(self, name: str) -> str:
        """A variable's value without what is around it: files and shells leave a line's end."""
        return self._environ.get(name, "").strip()

    def key_faults(self, provider: str) -> tuple[str, ...]:
        """Why the variables that are set cannot work, a sentence each; no value is in it."""
        ours = bool(
            provider in self._base_urls
            or self._value(f"{provider.upper()}_BASE_URL")
            or (provider == "openai" and self._openai_url())
        )
        names = [*KEYS.get(provider, ()), *(_OPENAI_URLS if provider == "openai" else ())]
        faults = []
        for name in names:
            if value := self._value(name):
                found = _address_faults(value) if name not in _SECRETS else _key_faults(value)
                faults += [
                    f"{name} {fault}" for fault in found if not (ours and "example" in fault)
                ]
        return tuple(faults)

    def missing_keys(self, provider: str) -> tuple[str, ...]:
        """The variables that are not set; none for a server of one's own, which needs no key."""
        if provider == "openai" and self._openai_url():
            return ()
        return tuple(
            name
            for name in KEYS.get(provider, ())
            if not self._value(name)
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
                return provider, {**({"base_url": url} if url else {}), **self._stripped(provider)}

    def _stripped(self, provider: str) -> dict[str, object]:
        """The key for an SDK that would read it with the spaces around it."""
        name, *_ = KEYS.get(provider) or ("",)
        key = self._value(name)
        return {"api_key": key} if key != self._environ.get(name, "") else {}

    def _openai_url(self) -> str | None:
        found = (self._value(variable) for variable in _OPENAI_URLS)
        return self._base_urls.get("openai") or next(filter(None, found), None)

    def _openai(self) -> dict[str, object]:
        url = self._openai_url()
        if url is None:
            return {"stream_usage": True, **self._stripped("openai")}
        key = self._value("OPENAI_API_KEY") or "none"
        return {"stream_usage": True, "base_url": url, "api_key": key}

    def _azure(self, url: str | None, deployment: str) -> dict[str, object]:
        version = self._value("OPENAI_API_VERSION") or _AZURE_API_VERSION
        about: dict[str, object] = {"azure_deployment": deployment, "api_version": version}
        endpoint = url or self._value("AZURE_OPENAI_ENDPOINT")
        return {**about, "stream_usage": True, "azure_endpoint": endpoint} | self._stripped(
            "azure_openai"
        )

    def _ollama(self, url: str | None) -> tuple[str, dict[str, object]]:
        """Ollama by its own integration where that is installed, else by its OpenAI dialect."""
        url = (url or _as_url(self._value("OLLAMA_HOST"))).rstrip("/")
        if importlib.util.find_spec("langchain_ollama"):
            return "ollama", {"base_url": url}
        dialect = {"base_url": f"{url}/v1", "api_key": "ollama", "stream_usage": True}
        return "openai", dialect


def missing_keys(model: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables this model needs and has not got; asking loads no part of LangChain."""
    provider, _ = split(model)
    return Providers(environ, {}).missing_keys(provider)


def key_faults(model: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What is wrong with the variables this model has, each as a sentence without its value."""
    provider, _ = split(model)
    return Providers(environ, {}).key_faults(provider)


def faults_of_keys(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The same for every provider whose key is set."""
    for provider in KEYS:
        yield from Providers(environ, {}).key_faults(provider)


def _key_faults(key: str) -> Iterator[str]:
    if key[0] in "\"'`" or key[-1] in "\"'`":
        yield "has quotes around it; they belong to the shell, not to the key"
    elif any(letter.isspace() for letter in key):
        yield "has a space or a line break in it"
    elif not key.isascii() or not key.isprintable():
        yield "has a letter in it that no key has (a dash, a quote or a sign copied from a page?)"
    elif _PLACEHOLDER.fullmatch(key):
        yield "is still the example it was copied from"


def _address_faults(url: str) -> Iterator[str]:
    if url[0] in "\"'`" or url[-1] in "\"'`":
        yield "has quotes around it; they belong to the shell, not to the address"
    elif any(letter.isspace() or not letter.isprintable() for letter in url):
        yield "has a space or a line break in it"
    elif not re.match(r"https?://[^/?#]", url):
        yield "is no address; it begins with http:// or https:// and a host"
    elif "<" in url or "://your" in url.lower():
        yield "is still the example it was copied from"


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
