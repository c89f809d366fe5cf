"""What may be spent on models, and how fast they may be asked."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from app.entrypoints.settings.group import Group, Many, Seconds, Texts, require_readable
from app.entrypoints.settings.providers import PerProvider


def _known_redis(url: SecretStr) -> SecretStr:
    if url.get_secret_value().partition("://")[0] not in {"redis", "rediss", "unix"}:
        raise ValueError("must begin with redis:// or rediss://")
    require_readable(url.get_secret_value())
    return url


class LimitsSettings(Group):
    """How much may be spent on models, and how fast they may be asked.

    Where there is a value for each provider, a number alone is for all that are not named.
    """

    redis_url: Annotated[SecretStr, AfterValidator(_known_redis)] | None = Field(
        None,
        description="`redis://user:password@host:6379/0`, where all workers share budgets and "
        "rates; without it each worker counts alone.",
    )
    concurrent_calls: PerProvider = Field(
        default={}, description="Model calls of one worker at once, for each provider."
    )
    requests_per_minute: PerProvider = Field(
        default={}, description="Model calls of all workers a minute, for each provider."
    )
    tokens_per_minute: PerProvider = Field(
        default={},
        description="Tokens of all workers a minute, requests and answers, for each provider.",
    )
    longest_wait_seconds: Seconds = Field(
        60,
        description="How long a model call waits for its turn; one that would wait longer fails, "
        "and its task is tried again when the turn would have come.",
    )
    answer_tokens: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="How long an answer is taken to be before it is there.",
    )
    breaker_failures: Many = Field(
        5,
        description="Failures in a row (5xx, no connection, no answer in time) after which a "
        "worker leaves a provider alone.",
    )
    breaker_seconds: Seconds = Field(
        30, description="For how long it does, until one call tries again."
    )
    prices: Texts = Field(
        default=[],
        description="Files of model prices, separated by commas, that count before those that "
        "come with Crewline.",
    )
