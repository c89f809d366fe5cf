"""What may be spent on models, and how fast they may be asked."""

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from app.domain.model.budgets import StrictBudget, no_limit
from app.entrypoints.settings.group import Group, Many, Seconds, Texts, require_readable
from app.entrypoints.settings.providers import PerProvider


def _known_redis(url: SecretStr) -> SecretStr:
    if url.get_secret_value().partition("://")[0] not in {"redis", "rediss", "unix"}:
        raise ValueError("must begin with redis:// or rediss://")
    require_readable(url.get_secret_value())
    return url


def budget_of(text: str) -> StrictBudget:
    """The budget in `tokens=1000,cost_usd=1.5`; raise `ValueError` where it is none."""
    named = [part.partition("=") for part in text.split(",")]
    limits = {name.strip(): value.strip() for name, _, value in named}
    if len(limits) < len(named):
        raise ValueError("names a limit twice")
    for name, value in limits.items():
        if name not in StrictBudget.model_fields:
            raise ValueError(no_limit(name))
        try:
            limits[name] = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{name} must be a number") from error
    try:
        return StrictBudget.model_validate(limits)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]}: {first['msg'].lower()}") from error


def _known_budget(text: str) -> str:
    budget_of(text)
    return text


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
    models: Texts = Field(
        default=[],
        description="Chat models that a task may ask for, beside its agent's own and those that "
        "the agent's file allows, separated by commas; `*` and `?` stand for anything, as in "
        "`openai:gpt-4.1-*`. An agent without a `model` has `CREWLINE_WORKER__MODEL` for its own: "
        "give both to gateways and workers alike.",
    )
    task_budget: Annotated[str, AfterValidator(_known_budget)] | None = Field(
        None,
        description="What a task may spend whose agent's file names no budget for it, as in "
        "`tokens=200000,cost_usd=2`; agents that call models by themselves are left out unless "
        "they count them.",
    )
    unmetered: Literal["warn", "refuse"] = Field(
        "warn",
        description="What becomes of a task with a budget whose agent calls models by itself, "
        "and does not say that it counts them (`meters: true`): it runs, and a warning in its "
        "trace and in the worker's log says so where it told of no call; or it is refused.",
    )
    prices: Texts = Field(
        default=[],
        description="Files of model prices, separated by commas, that count before those that "
        "come with Crewline.",
    )
