"""Any runtime, with the runs of agents that ask for it each in a process of its own."""

import asyncio
import signal
from collections.abc import Sequence

from app.adapters.isolation.attendant import Attendant, ChildGone
from app.adapters.isolation.child import Assignment, BuildRuntime
from app.adapters.isolation.children import Child, Children, NoChild
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Result
from app.domain.model.ids import RuntimeName
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.chat_model import ChatModels
from app.ports.result_spool import ResultSpool

_GRACE = 2.0
"""Seconds a run has to end what it began when it is told to stop; then its process is killed."""
CRASHED = "agent-crashed"


class IsolatedRuntime(AgentRuntime):
    """Decorates a runtime; `build` makes the same one in a child.

    A run that is canceled, out of time or lost is told so by SIGTERM, and killed when it does not
    heed that. One whose process ends by itself has failed, and its worker lives on.
    """

    def __init__(
        self,
        inner: AgentRuntime,
        build: BuildRuntime,
        children: Children,
        models: ChatModels | None = None,
        *,
        served: Sequence[AgentSpec] = (),
        spool: ResultSpool | None = None,
    ) -> None:
        self._spool = spool
        self._inner = inner
        self._build = build
        self._children = children
        self._models = models
        self._served = served

    @property
    def name(self) -> RuntimeName:
        return self._inner.name

    def check(self, spec: AgentSpec) -> None:
        self._inner.check(spec)

    async def warm_up(self) -> None:
        """Have whatever the agents of this worker need ready, here or in the children's server."""
        if any(spec.isolation == "thread" for spec in self._served):
            await self._inner.warm_up()
        if any(spec.isolation == "process" for spec in self._served):
            try:
                await self._children.warm_up()
            except NoChild as none:
                message = f"isolation: process: {none.message}; did an agent's module stop it?"
                raise InvalidAgent(message) from none

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        if spec.isolation == "thread":
            return await self._inner.run(spec, task, context)
        models = None if self._models is None else context.within_budget(self._models)
        try:
            child = await self._children.start(
                Assignment(
                    self._build,
                    spec,
                    task,
                    context.attempt,
                    context.max_result_bytes,
                    self._spool,
                )
            )
        except NoChild as none:
            raise RunFailed(CRASHED, f"{spec.name}: {none.message}", retryable=True) from none
        attendant = Attendant(child.reader, child.writer, context, models)
        serving = asyncio.create_task(attendant.outcome())
        error = "canceled"
        try:
            await asyncio.wait({serving})
            error = "not finished"
            if serving.cancelled():
                raise RunFailed("agent-error", "it canceled itself", retryable=False)
            return serving.result()
        except ChildGone:
            error = f"its process {_words(await child.ended)}"
            raise RunFailed(CRASHED, f"{spec.name}: {error}", retryable=True) from None
        finally:
            await _end(child, serving)
            await attendant.close(error)


async def _end(child: Child, serving: "asyncio.Task[Result]") -> None:
    """The process has ended when this returns."""
    try:
        if not serving.done():
            child.send(signal.SIGTERM)
            await asyncio.wait({serving}, timeout=_GRACE)
    finally:
        serving.cancel()
        await child.end()
        await asyncio.wait({serving})


def _words(code: int) -> str:
    if code >= 0:
        return f"ended with the exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"
