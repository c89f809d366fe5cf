"""Tasks run by a person's own callable, which may use any framework."""

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points

from pydantic import BaseModel, ValidationError

from app.domain.model.agents import AgentSpec
from app.domain.model.blame import place_of
from app.domain.model.budgets import BudgetExceeded
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Result
from app.domain.model.ids import RuntimeName
from app.domain.model.readable import kind_of, not_json, words
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.ledger import LedgerUnavailable
from app.ports.own_thread import in_own_thread

_log = logging.getLogger(__name__)

ENTRY_POINTS = "crewline.agents"

AgentCallable = Callable[[TaskInput, RunContext], object]
"""What a person brings: sync or async, returning a Result, a pydantic model or JSON."""


class PythonRuntime(AgentRuntime):
    """Runs `callable: module:attribute`, or an entry point's name, from `runtimes.python`."""

    def __init__(self) -> None:
        self._callables: dict[str, AgentCallable] = {}

    @property
    def name(self) -> RuntimeName:
        return RuntimeName("python")

    def check(self, spec: AgentSpec) -> None:
        self._callable(spec)

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        run = self._callable(spec)
        try:
            return _as_result(await _call(run, task, context))
        except (RunFailed, asyncio.CancelledError):
            raise
        except BaseException as failure:  # people's code may want to end the process
            _raise_as_it_is(failure)
            _log.warning("the callable of %s raised", spec.name, exc_info=failure)
            place = place_of(failure)
            said = f"{words(failure)} ({place})" if place else words(failure)
            raise RunFailed("agent-error", said, retryable=False) from failure

    def _callable(self, spec: AgentSpec) -> AgentCallable:
        settings = spec.runtimes.get(self.name)
        if settings is None:
            raise InvalidAgent(f"{spec.name}: has no section runtimes.python")
        where = settings.get("callable")
        if isinstance(where, str) and where in self._callables:
            return self._callables[where]
        if not isinstance(where, str) or not where:
            raise InvalidAgent(
                f"{spec.name}: runtimes.python.callable must be 'module:attribute' "
                f"or the name of an entry point in the group {ENTRY_POINTS}"
            )
        if unknown := sorted(set(settings) - {"callable", "meters"}):
            raise InvalidAgent(f"{spec.name}: runtimes.python has no setting {unknown[0]!r}")
        if not isinstance(settings.get("meters", False), bool):
            raise InvalidAgent(f"{spec.name}: runtimes.python.meters must be true or false")
        self._callables[where] = _imported(spec, where)
        return self._callables[where]


def _raise_as_it_is(failure: BaseException) -> None:
    """Raise what the context raised, whatever people's code made of it on its way."""
    seen: set[int] = set()
    each: BaseException | None = failure
    while each is not None and id(each) not in seen:
        if isinstance(each, LedgerUnavailable):
            raise each
        if isinstance(each, BudgetExceeded):
            raise RunFailed(each.code, each.message, retryable=False) from failure
        seen.add(id(each))
        each = each.__cause__ or each.__context__


def _imported(spec: AgentSpec, where: str) -> AgentCallable:
    try:
        found = _attribute(where) if ":" in where else _entry_point(where)
    except (Exception, SystemExit) as error:
        why = " ".join(words(error).split())
        raise InvalidAgent(
            f"{spec.name}: runtimes.python.callable: cannot import {where!r}: {why}"
        ) from error
    if not callable(found):
        raise InvalidAgent(f"{spec.name}: {where!r} is a {type(found).__name__}, not a callable")
    if instead := _what_to_write_instead(found):
        raise InvalidAgent(f"{spec.name}: {where!r} is {instead}")
    try:
        inspect.signature(found).bind(object(), object())
    except TypeError as error:
        raise InvalidAgent(f"{spec.name}: {where!r} must take (task, context): {error}") from error
    except ValueError:
        pass  # a callable written in C may have no signature to look at
    return found


def _what_to_write_instead(found: object) -> str | None:
    """What a callable is whose call does no work, and what would; None where it does."""
    while isinstance(found, functools.partial):
        found = found.func
    if isinstance(found, type):
        return (
            "a class, and to call it makes an object: name a function of (task, context), "
            "or an object of the class that has a method __call__(self, task, context)"
        )
    run = found if inspect.isroutine(found) else type(found).__call__
    pieces = "pass pieces on by `await context.token(text)` in an `async def`"
    if inspect.isasyncgenfunction(run):
        return f"an async generator: `return` the result instead of `yield`, and {pieces}"
    if inspect.isgeneratorfunction(run):
        return f"a generator: `return` the result instead of `yield`, and {pieces}"
    return None


def _attribute(where: str) -> object:
    module, _, path = where.partition(":")
    found: object = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _entry_point(name: str) -> object:
    for entry_point in entry_points(group=ENTRY_POINTS, name=name):
        loaded: object = entry_point.load()
        return loaded
    known = ", ".join(sorted({each.name for each in entry_points(group=ENTRY_POINTS)})) or "none"
    raise LookupError(f"no entry point {name!r} in the group {ENTRY_POINTS}; there are: {known}")


async def _call(run: AgentCallable, task: TaskInput, context: RunContext) -> object:
    if inspect.iscoroutinefunction(run) or inspect.iscoroutinefunction(type(run).__call__):
        returned = run(task, context)
    else:
        returned = await _in_thread(run, task, context)
    return await returned if inspect.isawaitable(returned) else returned


async def _in_thread(run: AgentCallable, task: TaskInput, context: RunContext) -> object:
    """A thread cannot be stopped, so a canceled run ends when the callable has returned.

    It sees `context.canceled` and should return soon; a second cancel no longer waits for it.
    """
    working = in_own_thread(f"run-{task.task_id}", lambda: run(task, context))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _as_result(returned: object) -> Result:
    if isinstance(returned, Result):
        return returned
    kind = kind_of(returned)
    if isinstance(returned, Iterator | AsyncIterator):
        message = f"the callable returned {kind}: return what it yields, as a list or a text"
        raise RunFailed("agent-error", message, retryable=False)
    try:
        if isinstance(returned, BaseModel):
            returned = _dumped(returned)
        return Result.model_validate({"output": returned})
    except ValidationError as error:
        message = f"the callable returned {kind} that is not JSON: {not_json(returned) or error}"
        raise RunFailed("agent-error", message, retryable=False) from error


def _dumped(model: BaseModel) -> object:
    """As JSON; where that cannot be, as objects of Python's, whose place is then told."""
    try:
        return model.model_dump(mode="json")
    except ValueError:
        return model.model_dump()
