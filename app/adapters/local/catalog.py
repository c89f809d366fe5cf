"""Agents as YAML files: the shipped ones, then those in a person's own folders."""

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic import JsonValue
from pydantic import ValidationError as InvalidFields
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from app.adapters.local import schema_checks
from app.adapters.local.yaml_text import read_yaml
from app.domain.model.agents import (
    Agent,
    AgentCatalog,
    AgentSpec,
    AskerRules,
    Check,
    Schema,
    clashes,
    default_input_schema,
)
from app.domain.model.errors import InvalidAgent, Unavailable, Violation
from app.domain.model.ids import AgentName
from app.ports.catalog import CatalogSource

_MOST_VIOLATIONS = 20
_LONGEST_QUOTE = 60


class FileCatalog(CatalogSource):
    """A later folder's agent replaces an earlier one of the same name, shipped ones included."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        max_input_characters: int | None = None,
        rules: AskerRules = AskerRules(),  # noqa: B008
    ) -> None:
        """`max_input_characters` is for agents whose files have no schema of their input."""
        self._folders = tuple(folders)
        self._rules = rules
        self._defaults: dict[str, Schema] = {}
        if max_input_characters is not None:
            self._defaults["input_schema"] = default_input_schema(max_input_characters)

    def load(self) -> AgentCatalog:
        catalog, problems = self.load_sound()
        if problems:
            raise InvalidAgent(*problems)
        return catalog

    def load_sound(self) -> tuple[AgentCatalog, list[str]]:
        """The agents that can be used, and what is wrong with the others, a line each."""
        agents: dict[AgentName, Agent] = {}
        problems: list[str] = []
        for folder in (files("app") / "catalog" / "agents", *self._folders):
            agents |= _agents_in(folder, problems, self._defaults, self._rules)
        clashing = clashes(agents.values())
        problems += clashing.values()
        return AgentCatalog(each for each in agents.values() if each.name not in clashing), problems


def compile_schema(schema: Schema) -> Check:
    """A function that says where a value does not fit; raise `InvalidAgent` for a broken schema."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        raise InvalidAgent(f"{where}: {_short(error.message)}".removeprefix(": ")) from error
    schema = schema_checks.prepared(schema)
    validator = schema_checks.Validator(schema, registry=_closed_registry(schema))

    def violations(value: JsonValue) -> tuple[Violation, ...]:
        errors = itertools.islice(validator.iter_errors(value), _MOST_VIOLATIONS)
        return tuple(Violation(_pointer(error), _detail(error)) for error in errors)

    async def check(value: JsonValue) -> tuple[Violation, ...]:
        try:
            return await schema_checks.bounded(lambda: violations(value))
        except schema_checks.TakesTooLong:
            seconds = f"{schema_checks.LONGEST:g} s"
            return (Violation("", f"takes over {seconds} to check against the agent's schema"),)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # of numbers beyond a float's, of deep nesting
            kind = type(error).__name__
            return (Violation("", f"cannot be checked against the schema ({kind})"),)

    return check


def _agents_in(
    folder: Traversable, problems: list[str], defaults: Mapping[str, Schema], rules: AskerRules
) -> dict[AgentName, Agent]:
    """The sound agents of a folder; what is wrong with the others is added to the problems."""
    if not folder.is_dir():
        problems.append(f"{folder}: there is no such folder")
        return {}
    seen: dict[AgentName, str] = {}
    agents: dict[AgentName, Agent] = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith((".yaml", ".yml")) or not file.is_file():
            continue
        try:
            agent = _read(file, defaults, rules)
        except RecursionError:
            problems.append(f"{file}: is nested too deep")
            continue
        except InvalidAgent as error:
            problems += error.problems
            continue
        if agent.name in seen:
            problems.append(f"{file}: name: {agent.name!r} is taken by {seen[agent.name]}")
            continue
        seen[agent.name] = file.name
        agents[agent.name] = agent
    return agents


def _read(file: Traversable, defaults: Mapping[str, Schema], rules: AskerRules) -> Agent:
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidAgent(f"{file}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InvalidAgent(f"{file}: must be a YAML mapping with the fields of one agent")
    try:
        spec = AgentSpec.model_validate({**defaults, **content})
    except InvalidFields as error:
        raise InvalidAgent(f"{file}: {'; '.join(_field_errors(error))}") from error
    checks: dict[str, Check] = {}
    for field in ("input_schema", "output_schema"):
        try:
            checks[field] = compile_schema(getattr(spec, field))
        except InvalidAgent as error:
            raise InvalidAgent(f"{file}: {field}: {error.message}") from error
    return Agent(spec, checks["input_schema"], rules).with_default_budget()


def _field_errors(error: InvalidFields) -> Iterator[str]:
    for each in error.errors(include_url=False):
        field = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            yield f"{field}: no such field{_nearest(field, AgentSpec.model_fields)}"
        elif each["type"] == "missing":
            yield f"{field}: is missing"
        else:
            yield f"{field}: {_short(each['msg'])}, but it is {_short(repr(each['input']))}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _closed_registry(schema: Schema) -> Registry[bool | Mapping[str, Any]]:
    """A registry that never fetches anything; every `$ref` is followed once, here, at load."""
    resource = DRAFT202012.create_resource(schema)
    registry: Registry[bool | Mapping[str, Any]] = Registry()
    resolver = registry.resolver_with_root(resource)
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise InvalidAgent(f"$ref {_short(reference)!r} leads nowhere") from error
    return registry


def _references(part: JsonValue) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _pointer(error: ValidationError) -> str:
    """Where in the value, as a JSON Pointer (RFC 6901)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error.absolute_path)
    return "".join(f"/{step}" for step in steps)


def _detail(error: ValidationError) -> str:  # noqa: C901, PLR0911 - one case a keyword
    """What is wrong in a few words, quoting the schema and never the value."""
    asked: Any = error.validator_value  # jsonschema's own types; it is set on every found error
    instance: Any = error.instance
    match error.validator:
        case "type":
            kinds = asked if isinstance(asked, list) else [asked]
            return f"must be {_kinds(kinds)}, not {_kind_of(instance)}"
        case "required":
            missing = [name for name in asked if name not in instance]
            return f"needs the field {_short(repr(missing[0]))}" if missing else "lacks a field"
        case "additionalProperties" if isinstance(error.schema, dict):
            known = list(error.schema.get("properties", {}))
            extra = [name for name in instance if name not in known]
            name = extra[0] if extra else ""
            return f"has the unknown field {_short(repr(name))}{_nearest(name, known)}"
        case "minLength":
            return "must not be empty" if asked == 1 else f"must have at least {asked} characters"
        case "maxLength":
            return f"has {len(instance):,} characters; at most {asked:,} are allowed"
        case "pattern":
            return "must not be blank" if asked == r"\S" else f"must match {_short(str(asked))}"
        case "enum":
            return f"must be one of: {_short(', '.join(map(str, asked)))}"
        case "const":
            return f"must be {_short(repr(asked))}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"must be {_BOUNDS[str(error.validator)]} {asked}"
        case "minItems" | "maxItems":
            most = "at least" if error.validator == "minItems" else "at most"
            return f"has {len(instance):,} items; {most} {asked} are allowed"
        case "anyOf" | "oneOf":
            return _forms(asked)
        case keyword:
            return f"does not satisfy {keyword}: {_short(str(asked))}"


def _forms(forms: Sequence[JsonValue]) -> str:
    """What would have fitted, where each form only asks for fields to be there."""
    wanted = []
    for form in forms:
        names = form.get("required") if isinstance(form, dict) and len(form) == 1 else None
        if not isinstance(names, list):
            return "fits none of the allowed forms"
        wanted.append(" and ".join(map(str, names)))
    return f"needs one of the fields: {', '.join(wanted)}"


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_KINDS = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


def _kind_of(value: JsonValue) -> str:
    return _KINDS.get(type(value), "number")


def _kinds(kinds: Sequence[str]) -> str:
    return " or ".join(kinds)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
