"""Another value for a dead letter's message, held against what its task may be."""

import json
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from app.domain.model.agents import AgentCatalog
from app.domain.model.budgets import no_limit
from app.domain.model.commands import NOTHING_EARLIER, SubmitTask
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.errors import InvalidInput, NotAllowed, UnknownAgent, Violation
from app.domain.model.ids import TaskId, derived_task_id

Value = Mapping[str, JsonValue]


async def edited_command(letter: DeadLetter, value: Value, catalog: AgentCatalog) -> SubmitTask:
    """The command a value amounts to; what it leaves out is as in the message it replaces.

    It stays the same task for the same agent. Raise `InvalidInput`, whose violations point into
    the value, or `UnknownRuntime`.
    """
    task_id = letter.task_id or TaskId(derived_task_id("redriven", letter.id))
    kept = {"id": task_id, "submitted_at": letter.origin.timestamp}
    if letter.agent is not None:
        kept["agent"] = letter.agent
    _refuse_unknown(letter, value)
    given = {name: each for name, each in value.items() if each is not None}
    body = {**kept, **given, "earlier": NOTHING_EARLIER, "traceparent": None}
    command: SubmitTask
    try:
        command = SubmitTask.model_validate(body)
    except ValidationError as error:
        raise _invalid([_violation(each) for each in error.errors()]) from error
    for name, here in kept.items():
        if name != "submitted_at" and getattr(command, name) != here:
            raise _invalid([Violation(f"/{name}", f"must stay {here}: a redrive is the same task")])
    for name in command.budget.unknown if command.budget else ():
        raise _invalid([Violation(f"/budget/{name}", no_limit(name))])
    try:
        agent = catalog.require(command.agent)
    except UnknownAgent:
        return command  # whoever reads the topic it goes to may know the agent
    try:
        await agent.accept(command)
    except NotAllowed as error:
        raise _invalid([Violation(f"/{error.field}", error.detail)]) from error
    except InvalidInput as error:
        found = [Violation(f"/input{each.pointer}", each.detail) for each in error.violations]
        raise _invalid(found) from error
    return command


def _refuse_unknown(letter: DeadLetter, value: Value) -> None:
    """A name that is no field is a slip of the pen, unless it stood in the message already."""
    known = SubmitTask.model_fields.keys() - {"earlier", "traceparent"}
    try:
        was = json.loads(letter.origin.value or b"{}")
    except (ValueError, RecursionError):  # the latter where it is nested too deeply
        was = {}
    own = was.keys() if isinstance(was, dict) else ()
    unknown = [name for name in value if name not in known and name not in own]
    if unknown:
        there_are = ", ".join(sorted(known))
        raise _invalid([Violation(f"/{unknown[0]}", f"is not known; there are: {there_are}")])


def _violation(error: Mapping[str, object]) -> Violation:
    place = error["loc"]
    steps = [str(each) for each in place] if isinstance(place, tuple) else []
    if steps and steps[0] == "input":  # the rest names the members of a union, not the value
        return Violation("/input", "is missing" if error["type"] == "missing" else _AN_INPUT)
    said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    pointer = "".join(f"/{step}" for step in steps)
    return Violation(pointer, (said[:1].lower() + said[1:]).replace("should ", "must ", 1))


def _invalid(violations: list[Violation]) -> InvalidInput:
    first = violations[0]
    return InvalidInput(f"{first.pointer}: {first.detail}", tuple(violations))


_AN_INPUT = "must be a text or an object"
