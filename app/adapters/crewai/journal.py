"""Tells a run's context what its crew does: from many threads, in order, on the event loop."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from crewai.events.base_events import BaseEvent

from app.adapters.crewai.notes import Began, Ended, Note, Said, note_of
from app.ports.agent_runtime import ActivityId, RunContext
from app.ports.chat_model import ChatAnswer
from app.ports.finish_reasons import spoilt

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """An activity that has begun and not ended."""

    activity: ActivityId
    parent: str | None
    own_model: str | None = None
    """The model that is asked, where the crew brought it along."""


@dataclass
class Journal:
    """The crew writes to it, `tell` reads it to the context.

    `steps` is how many tasks the crew has, for the progress that people see; whoever has made the
    crew sets it.
    """

    loop: asyncio.AbstractEventLoop
    context: RunContext
    steps: int = 1
    _notes: asyncio.Queue[Note | None] = field(default_factory=asyncio.Queue)
    _parents: dict[str, str | None] = field(default_factory=dict)
    """For each event of CrewAI the one it happened within, so that any can be skipped."""
    _open: dict[str, _Open] = field(default_factory=dict)
    _steps_begun: int = 0

    def sink(self, source: object, event: BaseEvent) -> None:
        """Take an event, in whichever thread it happens. It never raises: that would end a crew."""
        try:
            note = note_of(source, event)
            self._parents[event.event_id] = event.parent_event_id
            if isinstance(note, Began):
                self._parents[note.key] = event.parent_event_id
            if note is not None:
                self.loop.call_soon_threadsafe(self._notes.put_nowait, note)
        except Exception:  # noqa: BLE001 - whatever it is, the crew is not to blame
            _log.exception("an event of CrewAI could not be read", extra={"event": event.type})

    def listener(self, call_id: str) -> Callable[[str], None]:
        """Takes the pieces of one model call's answer, on the event loop."""
        return lambda text: self._notes.put_nowait(Said(call_id, text))

    async def settled(self) -> None:
        """Return when the context knows all that has happened so far."""
        await self._notes.join()

    async def tell(self) -> None:
        """Read to the context until `finish`.

        An error of the context's ends it early, and an answer that is not whole.
        """
        while (note := await self._notes.get()) is not None:
            await self._tell(note)
            self._notes.task_done()

    def finish(self) -> None:
        """Let `tell` return once it has told what is written so far."""
        self._notes.put_nowait(None)

    async def close(self, error: str | None) -> None:
        """End what has not ended, the innermost first; called when `tell` has returned."""
        for key in reversed(list(self._open)):
            await self._end(Ended(key, error or "not finished"))

    async def _tell(self, note: Note) -> None:
        match note:
            case Began():
                await self._begin(note)
            case Ended():
                await self._end(note)
            case Said():
                opened = self._open.get(note.key)
                await self.context.token(note.text, opened.activity if opened else None)

    async def _begin(self, note: Began) -> None:
        parent = self._parent_of(note.key)
        within = self._open[parent].activity if parent else None
        own = {"lent": False} if note.own else {}
        activity = await self.context.begin(note.kind, note.name, within, note.provider, **own)
        own_model = f"{note.provider}:{note.name}" if note.own else None
        self._open[note.key] = _Open(activity, parent, own_model)
        if note.kind == "step":
            await self.context.report(note.name, self._progress())
            self._steps_begun += 1

    def _progress(self) -> float:
        """How much is done when a task begins: never all, also where one is begun a second time."""
        return min(self._steps_begun, self.steps - 1) / self.steps

    async def _end(self, note: Ended) -> None:
        if note.key not in self._open:
            return
        inside = [key for key, each in self._open.items() if each.parent == note.key]
        for key in reversed(inside):  # CrewAI ends an agent that was stopped by no event
            await self._end(Ended(key, note.error))
        ended = self._open.pop(note.key)
        await self.context.end(
            ended.activity,
            error=note.error,
            input_tokens=note.input_tokens,
            output_tokens=note.output_tokens,
            cached_tokens=note.cached_tokens,
            finish_reason=note.finish_reason,
            **({} if note.counted else {"counted": False}),
        )
        if ended.own_model and not note.error:  # the models that we lend look themselves
            answer = ChatAnswer(note.said, finish_reason=note.finish_reason)
            if failure := spoilt(answer, ended.own_model):
                raise failure

    def _parent_of(self, key: str) -> str | None:
        """The nearest activity around it that is still going on."""
        parent = self._parents.get(key)
        while parent is not None and parent not in self._open:
            parent = self._parents.get(parent)
        return parent
