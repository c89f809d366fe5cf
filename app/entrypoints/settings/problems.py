"""What is wrong with the settings, in words for whoever set them: one line per problem."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, SecretStr, ValidationError

from app.domain.model.redaction import mask_secrets
from app.entrypoints.settings.model import DELIMITER, PREFIX, Settings


class SettingsError(Exception):
    """The settings cannot be used; `lines` says why, one problem each."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def groups() -> dict[str, type[BaseModel]]:
    """The groups of the settings, by name."""
    found = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        name: group
        for name, group in found.items()
        if isinstance(group, type) and issubclass(group, BaseModel)
    }


def variable(*path: str) -> str:
    """The environment variable that sets the field at this path."""
    return PREFIX + DELIMITER.join(path).upper()


def variables() -> dict[str, tuple[str, ...]]:
    """Every variable there is, with the path of the field it sets."""
    return {
        variable(group, field): (group, field)
        for group, model in groups().items()
        for field in model.model_fields
    }


def is_secret(group: str, field: str) -> bool:
    """Whether a field's value must never be shown."""
    model = groups().get(group)
    known = model.model_fields.get(field) if model else None
    return known is not None and "SecretStr" in str(known.annotation)


def closest(wrong: str, right: Iterable[str]) -> str | None:
    """The right name most like a wrong one, if any is like it."""
    found = get_close_matches(wrong, list(right), n=1, cutoff=0.6)
    return found[0] if found else None


def misspelt(name: str, known: Iterable[str]) -> str:
    """One line on a variable that does not exist."""
    stems = [each.removeprefix(PREFIX) for each in known]
    near = closest(name.split(maxsplit=1)[0].upper().removeprefix(PREFIX), stems)
    hint = f"did you mean {PREFIX}{near}?" if near else "docs/settings.md lists those there are"
    return f"{name} is not a setting; {hint}"


def problems(error: ValidationError, origins: Mapping[tuple[str, ...], str]) -> list[str]:
    """One line for each place where a value does not fit; secrets are masked."""
    return [
        _line(tuple(map(str, each["loc"])), each["msg"], each["type"], each.get("input"), origins)
        for each in error.errors(include_url=False)
    ]


def _line(
    where: tuple[str, ...],
    message: str,
    kind: str,
    value: object,
    origins: Mapping[tuple[str, ...], str],
) -> str:
    path = where[:2]
    name = origins.get(path) or variable(*path)
    said = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return misspelt(name, variables())
    if len(path) < 2:  # a whole group contradicts itself; the message names the variables
        return f"{name}: {said}"
    shown = "***" if isinstance(value, SecretStr) or is_secret(*path) else repr(value)
    return mask_secrets(f"{name}={shown}: {said[0].lower()}{said[1:]}")
