"""Names that other people gave: what they mean for us.

They count less than our own names, because they may have been set with something else in mind.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.entrypoints.settings.problems import SettingsError, closest

Nested = dict[str, dict[str, object]]

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "anthropic:claude-sonnet-5",
        "openai": "openai:gpt-4.1-mini",
        "azure": "azure_openai:gpt-4.1-mini",
        "ollama": "ollama:llama3.1",
    }
)
"""The chat model an `IMPLEMENTATION_TYPE` stands for."""

LEFT_TO_THE_SDKS = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_DEPLOYMENT",
    "OLLAMA_HOST",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
)
"""Variables we do not read: the libraries they belong to do."""


def understood(environ: Mapping[str, str]) -> Nested:
    """The settings that other people's variables amount to."""
    found: Nested = {}
    if servers := environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        found["kafka"] = {"bootstrap_servers": servers}
    if name := environ.get("OTEL_SERVICE_NAME"):
        found["telemetry"] = {"service_name": name}
    worker: dict[str, object] = {}
    if agents := environ.get("AGENT_TYPE"):
        worker["agents"] = agents
    if kind := environ.get("IMPLEMENTATION_TYPE"):
        worker |= _implementation(kind.strip().lower(), environ)
    if worker:
        found["worker"] = worker
    return found


def provider_variables(environ: Mapping[str, str]) -> dict[str, bool]:
    """Which of the variables left to the SDKs are set; never what they hold."""
    return {name: bool(environ.get(name, "").strip()) for name in LEFT_TO_THE_SDKS}


def _implementation(kind: str, environ: Mapping[str, str]) -> dict[str, object]:
    if kind == "deterministic":
        return {"runtimes": ["rules"]}
    if kind not in MODELS:
        known = ("deterministic", *MODELS)
        near = closest(kind, known)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(known)}"
        raise SettingsError([f"IMPLEMENTATION_TYPE={kind!r} is not known; {hint}"])
    model = MODELS[kind]
    deployment = environ.get("AZURE_OPENAI_DEPLOYMENT")
    if kind == "azure" and deployment:
        model = f"azure_openai:{deployment}"
    return {"runtimes": ["crewai"], "model": model}
