"""Settings that have a value for each provider of chat models."""

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from app.entrypoints.settings.group import Many

EVERY_OTHER = "*"

# fmt: off
PROVIDERS = frozenset(
    {
        "anthropic", "anthropic_bedrock", "azure_ai", "azure_openai", "baseten", "bedrock",
        "bedrock_converse", "bedrock_mantle_anthropic", "bedrock_mantle_openai", "cohere",
        "deepseek", "fireworks", "google_anthropic_vertex", "google_genai", "google_vertexai",
        "groq", "huggingface", "ibm", "langsmith", "litellm", "meta", "mistralai", "nvidia",
        "ollama", "openai", "openrouter", "perplexity", "together", "upstage", "xai",
    }
)
# fmt: on
"""Those LangChain's `init_chat_model` knows; it is too heavy to be asked for them here."""


def _by_provider(value: object) -> object:
    """`provider:number` texts as a mapping; a number alone is every other provider's."""
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for part in value.split(","):
        name, _, number = part.strip().rpartition(":")
        if not number.isdecimal():
            raise ValueError("must be provider:number, several separated by commas, or a number")
        if (name or EVERY_OTHER) in found:
            raise ValueError(f"has two numbers for {name or 'the others'}")
        found[name or EVERY_OTHER] = number
    return found


def _known(numbers: dict[str, int]) -> dict[str, int]:
    """Refuse a number that would be nobody's."""
    for name in numbers:
        if name not in PROVIDERS and name != EVERY_OTHER:
            near = get_close_matches(name, PROVIDERS, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(PROVIDERS))}"
            )
            raise ValueError(f"no provider is called {name}; {hint}")
    return numbers


PerProvider = Annotated[
    dict[str, Many],
    NoDecode,
    BeforeValidator(_by_provider),
    AfterValidator(_known),
]
"""A number for each provider; as one text, `openai:500,anthropic:50`."""
