"""Read the settings: the environment, then `.env`, then a secrets folder, then others' names."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from app.domain.model.redaction import SECRET_NAME, learn_secrets
from app.entrypoints.settings.ecosystem import LEFT_TO_THE_SDKS, Nested, understood
from app.entrypoints.settings.model import PREFIX, Settings
from app.entrypoints.settings.problems import (
    SettingsError,
    groups,
    misspelt,
    problems,
    variables,
)

OTHERS = ("CREWLINE_URL", "CREWLINE_ENV_FILE", "CREWLINE_SECRETS_DIR")
"""Variables of ours that are not fields: the command line's address, and where to read fields."""


@dataclass(frozen=True, slots=True)
class _Found:
    value: str
    name: str
    """How to call it in an error: the variable, and the file it stood in."""


def load_settings(**overrides: Mapping[str, object]) -> Settings:
    """The settings of this process; `overrides` (a mapping per group) win over everything.

    An override of None, and a variable that is empty, count as not given. Raises `SettingsError`
    with all that is wrong.
    """
    _hand_on()
    found = _gather()
    known = {*variables(), *OTHERS}
    wrong = [misspelt(each.name, known) for name, each in found.items() if name not in known]
    if wrong:
        raise SettingsError(wrong)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): each.value for name, each in found.items() if each.value}
    given = {
        group: {name: value for name, value in fields.items() if value is not None}
        for group, fields in overrides.items()
    }
    origins = {path: found[name].name for name, path in variables().items() if name in found} | {
        (group, name): f"{group}.{name}" for group, fields in given.items() for name in fields
    }
    try:
        merged = _merged(understood(_environ()), source(), given)
        settings = Settings.model_validate(_with_prefixed_groups(merged))
    except ValidationError as error:
        # not from the error: it quotes what was given, secrets too
        raise SettingsError(problems(error, origins)) from None
    learn_secrets(_secrets_of(settings))
    return settings


def _secrets_of(settings: Settings) -> Iterator[str]:
    """The values of secret settings, and of the variables the SDKs read their keys from."""
    for group in groups():
        for _, value in getattr(settings, group):
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
    for name, value in _environ().items():
        if SECRET_NAME.search(name):
            yield value


def _hand_on() -> None:
    """Put what `.env` says for others' libraries where these look for it."""
    for name, value in _env_file().items():
        if name in LEFT_TO_THE_SDKS and value:
            os.environ.setdefault(name, value)


def _gather() -> dict[str, _Found]:
    """Every variable of ours that is set, by its upper-case name."""
    found: dict[str, _Found] = {}
    for folder in _secret_folders():
        for file in sorted(folder.iterdir()):
            if file.name.upper().startswith(PREFIX) and file.is_file():
                with _readable(file):
                    text = file.read_text(encoding="utf-8").strip()
                found[file.name.upper()] = _Found(text, f"{file.name.upper()} (in {folder})")
    for name, value in _env_file().items():
        if name.startswith(PREFIX):
            found[name] = _Found(value, f"{name} (in {_env_path()})")
    for name, value in os.environ.items():
        if name.upper().startswith(PREFIX):
            found[name.upper()] = _Found(value, name)
    return found


def _environ() -> dict[str, str]:
    return {**_env_file(), **os.environ}


def _env_path() -> Path:
    named = os.environ.get("CREWLINE_ENV_FILE")
    path = Path(named or ".env")
    if named and (not path.exists() or path.is_dir()):
        raise SettingsError([f"CREWLINE_ENV_FILE={named!r}: there is no such file"])
    return path


def _env_file() -> dict[str, str]:
    """All of `.env`, by upper-case names."""
    path = _env_path()
    with _readable(path):
        values = DotEnvSettingsSource(Settings, env_file=path).env_vars
    return {name.upper(): value for name, value in values.items() if value is not None}


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise SettingsError([f"{file} cannot be read: it is no UTF-8"]) from error
    except OSError as error:
        raise SettingsError([f"{file} cannot be read: {error.strerror}"]) from error


def _secret_folders() -> list[Path]:
    named = os.environ.get("CREWLINE_SECRETS_DIR")
    folder = Path(named or "/run/secrets")
    if folder.is_dir():
        return [folder]
    if named:
        raise SettingsError([f"CREWLINE_SECRETS_DIR={named!r}: there is no such folder"])
    return []


def _with_prefixed_groups(merged: Nested) -> Nested:
    """Consumer groups begin as the topics do, so that installations on one broker stay apart."""
    if prefix := merged.get("kafka", {}).get("prefix"):
        for group, name in (("worker", "workers"), ("projector", "projector")):
            merged.setdefault(group, {}).setdefault("group", f"{prefix}.{name}")
    return merged


def _merged(*layers: Mapping[str, object]) -> Nested:
    """The layers group by group; a later one wins."""
    merged: Nested = {}
    for layer in layers:
        for group, fields in layer.items():
            if isinstance(fields, Mapping):
                merged.setdefault(group, {}).update(fields)
    return merged
