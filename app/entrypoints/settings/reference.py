"""`docs/settings.md`, made from the settings themselves.

Write it anew with `python -m app.entrypoints.settings.reference > docs/settings.md`.
"""

import inspect
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.entrypoints.settings.ecosystem import LEFT_TO_THE_SDKS, MODELS
from app.entrypoints.settings.problems import groups, is_secret, variable

_INTRODUCTION = """\
# Settings

Every setting is an environment variable: `CREWLINE_`, its group, two underscores, its name. They
are read from, the first counting most:

1. options of the command line,
2. the environment,
3. `.env` in the working directory, or the file that `CREWLINE_ENV_FILE` names,
4. a folder of secrets, one file each, named like the variable in any case: `/run/secrets`, or the
   folder that `CREWLINE_SECRETS_DIR` names,
5. the names other people gave (below),
6. the defaults.

A variable that begins with `CREWLINE_` and is none of these is an error that names the closest
right one; so is a value that does not fit, and a file or folder that is named and not there. A
variable that is set and empty counts as not set.
Lists are separated by commas.
`CREWLINE_URL` is read by the commands for people alone: the address of the gateway.
"""

_IDENTITY = """\
A worker's identity is `CREWLINE_WORKER__ID`; else, in Kubernetes, the pod's name where it ends in
an ordinal, as a stateful set's does; else host name and ordinal, the lowest that no running worker
of the machine holds. It is held for the life of the process, by a lock in the runtime folder and on
Linux by a socket's name. A restarted worker has its old identity again, and with it its partitions
at once. Containers that were given one host name but share neither files nor network cannot see
each other: give each an id.
"""


def document() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for name, group in groups().items():
        parts.append(
            f"## `{name}`\n\n{inspect.cleandoc(group.__doc__ or '')}\n\n{_table(name, group)}"
        )
        if name == "worker":
            parts.append(_IDENTITY)
    return "\n".join([*parts, _others()])


def _table(name: str, group: type[BaseModel]) -> str:
    head = "| variable | default | values | |\n|---|---|---|---|\n"
    return head + "".join(_rows(name, group))


def _rows(name: str, group: type[BaseModel]) -> Iterator[str]:
    for field_name, field in group.model_fields.items():
        cells = [
            f"`{variable(name, field_name)}`",
            _default(field),
            "secret" if is_secret(name, field_name) else _values(field.annotation, field.metadata),
            field.description or "",
        ]
        yield f"| {' | '.join(cells)} |\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, list):
        value = ",".join(value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(annotation: Any, limits: list[Any]) -> str:
    """What may be given, in a few words."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _values(inner, [*limits, *more])
    if origin in {Union, UnionType}:
        (inner,) = (each for each in get_args(annotation) if each is not type(None))
        return _values(inner, limits)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin is list:
        return "list"
    if origin is dict:
        return "list of `provider:number`"
    kind = {bool: "`true`, `false`", int: "whole number", float: "number"}.get(annotation, "text")
    return " ".join([kind, *_bounds(limits)])


def _bounds(limits: list[Any]) -> Iterator[str]:
    for limit in limits:
        yield from _bounds(getattr(limit, "metadata", []))  # a field inside an alias
        match limit:
            case Ge():
                yield f"≥ {limit.ge}"
            case Gt():
                yield f"> {limit.gt}"
            case Le():
                yield f"≤ {limit.le}"


def _others() -> str:
    models = "\n".join(
        f"| | `{kind}` | `crewai` with `{model}` |" for kind, model in MODELS.items()
    )
    return f"""\
## Names other people gave

| variable | value | means |
|---|---|---|
| `KAFKA_BOOTSTRAP_SERVERS` | | `CREWLINE_KAFKA__BOOTSTRAP_SERVERS` |
| `OTEL_SERVICE_NAME` | | `CREWLINE_TELEMETRY__SERVICE_NAME` |
| `AGENT_TYPE` | agents, separated by commas | `CREWLINE_WORKER__AGENTS` |
| `IMPLEMENTATION_TYPE` | `deterministic` | `CREWLINE_WORKER__RUNTIMES=rules` |
{models}

`azure` uses the deployment that `AZURE_OPENAI_DEPLOYMENT` names. Left to the libraries they belong
to, and never shown:
{", ".join(f"`{name}`" for name in LEFT_TO_THE_SDKS)}.
"""


if __name__ == "__main__":
    sys.stdout.write(document())
