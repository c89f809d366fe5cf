"""What every StatusStore and ViewStore must do; each adapter's test class subclasses this."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from app.domain.model.commands import SubmitTask
from app.domain.model.errors import InvalidInput
from app.domain.model.events import Event, ResultEvent, Usage
from app.domain.model.ids import ContextId, TaskId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Message
from app.domain.model.task import Progress, Task, describe, fold
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import (
    OffsetsMoved,
    Page,
    StatusStore,
    TaskFilter,
    ViewStore,
    ViewUpdate,
)
from tests.builders import (
    TRACEPARENT,
    completed,
    failed,
    input_required,
    progressed,
    retry_scheduled,
    started,
    stepped,
    submitted,
    task_id,
    token,
)

COMMANDS = Shard("crewline.commands.business-analyst", 0)
RESULTS = Shard("crewline.results", 3)
TRACES = Shard("crewline.traces", 3)


class Views(NamedTuple):
    """The two sides of one set of views."""

    store: StatusStore
    writer: ViewStore


def update(
    *messages: Message, before: Offsets | None = None, after: Offsets | None = None
) -> ViewUpdate:
    """What a projector would save that has heard nothing but these messages, in this order."""
    progress: dict[TaskId, Progress] = {}
    for offset, message in enumerate(messages):
        if isinstance(message, ResultEvent):
            known = progress.get(message.task_id)
            progress[message.task_id] = fold(known, message, offset)
    return ViewUpdate(
        commands=[message for message in messages if isinstance(message, SubmitTask)],
        progress=progress,
        events=[message for message in messages if isinstance(message, Event)],
        before=before or {},
        after=after or {},
    )


class StatusStoreContract:
    @pytest.fixture
    def views(self) -> Views:
        raise NotImplementedError("the subclass provides the views under test")

    async def test_an_unknown_task_is_not_found(self, views: Views) -> None:
        assert await views.store.find(task_id("nobody")) is None
        assert await views.store.events(task_id("nobody")) == []

    async def test_a_command_alone_is_a_queued_task(self, views: Views) -> None:
        command = submitted(
            input={"question": "naïve? \x00 🙂"},
            parameters={"depth": 3, "deep": {"er": [None, 1.5, True]}},
            context_id="talk-1",
            labels={"team": "blue"},
            model="openai:gpt-5",
            traceparent=TRACEPARENT,
        )
        await views.writer.save(update(command))
        task = await found(views, command.id)
        assert task == describe(command, None)
        assert (task.state, task.reason) == (TaskState.SUBMITTED, Reason.QUEUED)
        assert task.trace_id == "0af7651916cd43dd8448eb211c80319c"

    async def test_progress_alone_is_a_task_whose_command_is_still_to_come(
        self, views: Views
    ) -> None:
        event = started(after=5, traceparent=TRACEPARENT)
        await views.writer.save(update(event))
        task = await found(views, event.task_id)
        assert task == describe(None, fold(None, event, 0))
        assert task.created_at == event.at

    @pytest.mark.parametrize("first", ["command", "progress", "together"])
    async def test_the_two_halves_of_a_task_meet_in_any_order(
        self, views: Views, first: str
    ) -> None:
        command = submitted(labels={"team": "blue"}, context_id="talk-1", traceparent=TRACEPARENT)
        news = [
            started(),
            progressed(usage=Usage(input_tokens=3, cost_usd=0.25)),
            completed(sequence=3, output={"a": None}, usage=Usage(input_tokens=7)),
        ]
        halves = [update(command), update(*news)]
        if first == "progress":
            halves.reverse()
        elif first == "together":
            halves = [update(command, *news)]
        for half in halves:
            await views.writer.save(half)
        task = await found(views, command.id)
        assert task == describe(command, update(*news).progress[command.id])
        wanted = TaskFilter(
            TaskState.COMPLETED, command.agent, ContextId("talk-1"), {"team": "blue"}
        )
        assert ids(await views.store.list(wanted, 10, None)) == [command.id]

    async def test_every_kind_of_news_is_stored_whole(self, views: Views) -> None:
        log = [
            submitted(),
            started(model="openai:gpt-5"),
            retry_scheduled(sequence=2, usage=Usage(output_tokens=2)),
            started(attempt=2, after=11),
            input_required(attempt=2, sequence=2, after=12),
        ]
        await views.writer.save(update(*log))
        stored = await views.writer.progress([task_id(), task_id("nobody")])
        assert stored == update(*log).progress
        task = await found(views, task_id())
        assert task.input_request is not None
        assert task.input_request.answer_schema == {"type": "boolean"}
        assert task.usage == Usage(output_tokens=2)

    async def test_a_task_keeps_its_first_command(self, views: Views) -> None:
        await views.writer.save(update(submitted(labels={"team": "blue"})))
        again = submitted(input="another", labels={"team": "red", "new": "yes"}, context_id="c")
        await views.writer.save(update(again))
        assert await found(views, again.id) == describe(submitted(labels={"team": "blue"}), None)
        red = TaskFilter(labels={"team": "red"})
        assert ids(await views.store.list(red, 10, None)) == []
        blue = TaskFilter(labels={"team": "blue"})
        assert ids(await views.store.list(blue, 10, None)) == [again.id]

    async def test_events_are_read_in_the_order_of_their_run(self, views: Views) -> None:
        told = [
            started(traceparent=TRACEPARENT),
            stepped(sequence=2),
            token(sequence=3),
            failed(sequence=4),
            started(attempt=2, after=20),
            completed(attempt=2, sequence=10, after=21),
        ]
        await views.writer.save(update(*reversed(told)))
        await views.writer.save(update(started("t-2")))
        assert await views.store.events(task_id()) == told
        assert await views.store.events(task_id(), (1, 3)) == told[3:]
        assert await views.store.events(task_id(), (2, 10)) == []

    async def test_an_event_that_is_there_is_left_as_it_is(self, views: Views) -> None:
        await views.writer.save(update(progressed(message="first")))
        await views.writer.save(update(progressed(message="second")))
        assert await views.store.events(task_id()) == [progressed(message="first")]

    async def test_the_ending_of_a_repeated_run_is_not_taken_for_a_repeat(
        self, views: Views
    ) -> None:
        lost = [started(), progressed(sequence=2)]
        await views.writer.save(update(*lost))
        await views.writer.save(update(started(worker="w-2"), completed(sequence=2, worker="w-2")))
        assert completed(sequence=2, worker="w-2") in await views.store.events(task_id())

    async def test_offsets_move_with_the_views(self, views: Views) -> None:
        assert await views.writer.offsets() == {}
        await views.writer.save(update(submitted(), after={COMMANDS: 1}))
        await views.writer.save(update(started(), after={RESULTS: 4, TRACES: 2}))
        before = {COMMANDS: 1, RESULTS: 4}
        await views.writer.save(update(completed(), before=before, after={COMMANDS: 2, RESULTS: 5}))
        assert await views.writer.offsets() == {COMMANDS: 2, RESULTS: 5, TRACES: 2}

    async def test_a_shard_never_read_may_be_called_read_up_to_0(self, views: Views) -> None:
        await views.writer.save(update(submitted(), before={COMMANDS: 0}, after={COMMANDS: 1}))
        assert await views.writer.offsets() == {COMMANDS: 1}

    @pytest.mark.parametrize(
        "before", [{}, {RESULTS: 0}, {RESULTS: 3}, {RESULTS: 5}, {RESULTS: 4, TRACES: 1}]
    )
    async def test_a_batch_that_others_have_folded_leaves_no_trace(
        self, views: Views, before: dict[Shard, int]
    ) -> None:
        first = update(submitted(), started(), after={RESULTS: 4})
        await views.writer.save(first)
        late = update(
            submitted("t-2", labels={"a": "b"}),
            completed(),
            before=before,
            after={RESULTS: 9, TRACES: 9, COMMANDS: 9},
        )
        with pytest.raises(OffsetsMoved):
            await views.writer.save(late)
        assert await views.writer.offsets() == {RESULTS: 4}
        assert await views.store.find(task_id("t-2")) is None
        assert (await found(views, task_id())).state is TaskState.WORKING
        assert await views.store.events(task_id()) == [started()]
        assert ids(await views.store.list(TaskFilter(labels={"a": "b"}), 10, None)) == []

    async def test_a_replayed_batch_is_refused(self, views: Views) -> None:
        batch = update(submitted(), started(), after={COMMANDS: 1, RESULTS: 1})
        await views.writer.save(batch)
        with pytest.raises(OffsetsMoved):
            await views.writer.save(batch)

    async def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(
        self, views: Views
    ) -> None:
        commands = [submitted(f"t-{n}", after=n // 3) for n in range(10)]  # some at one moment
        await views.writer.save(update(*commands))
        newest = sorted(commands, key=lambda each: (each.submitted_at, each.id), reverse=True)
        seen: list[TaskId] = []
        cursor = None
        for size in (3, 3, 3, 1):
            page = await views.store.list(TaskFilter(), 3, cursor)
            assert len(page.items) == size
            seen += ids(page)
            cursor = page.next_cursor
        assert cursor is None
        assert seen == [command.id for command in newest]

    async def test_a_full_last_page_has_no_next(self, views: Views) -> None:
        await views.writer.save(update(submitted("t-1"), submitted("t-2")))
        assert (await views.store.list(TaskFilter(), 2, None)).next_cursor is None

    async def test_a_task_that_comes_later_does_not_shift_the_next_page(self, views: Views) -> None:
        await views.writer.save(update(*(submitted(f"t-{n}", after=n) for n in range(4))))
        page = await views.store.list(TaskFilter(), 2, None)
        await views.writer.save(update(submitted("t-9", after=9)))
        rest = await views.store.list(TaskFilter(), 2, page.next_cursor)
        assert ids(rest) == [task_id("t-1"), task_id("t-0")]

    async def test_a_list_holds_what_fits_every_wish(self, views: Views) -> None:
        await views.writer.save(
            update(
                submitted("a", labels={"team": "blue", "env": "prod"}, context_id="talk"),
                submitted("b", labels={"team": "blue", "env": "test"}, context_id="talk\x00"),
                submitted("c", agent="writer", labels={"team": "red \x00"}),
                started("a"),
                completed("c", sequence=1),
            )
        )
        wishes = {
            "a": TaskFilter(state=TaskState.WORKING),
            "b": TaskFilter(state=TaskState.SUBMITTED),
            "c": TaskFilter(agent=submitted(agent="writer").agent),
            "a ": TaskFilter(context_id=ContextId("talk")),
            "b ": TaskFilter(context_id=ContextId("talk\x00")),
            "a  ": TaskFilter(labels={"team": "blue", "env": "prod"}),
            "c ": TaskFilter(labels={"team": "red \x00"}),
            "": TaskFilter(state=TaskState.WORKING, labels={"env": "test"}),
        }
        for name, wanted in wishes.items():
            expected = [task_id(name.strip())] if name else []
            assert ids(await views.store.list(wanted, 10, None)) == expected, wanted

    @pytest.mark.parametrize("cursor", ["", "x", "é", "MTcvYWJj", "LzA", "=" * 9, "A" * 4000])
    async def test_a_broken_cursor_is_invalid(self, views: Views, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            await views.store.list(TaskFilter(), 10, cursor)

    async def test_numbers_beyond_every_column_stop_nobody(self, views: Views) -> None:
        await views.writer.save(update(started(attempt=10**30, sequence=10**30)))
        assert await views.store.events(task_id()) == [started(attempt=10**30, sequence=10**30)]
        assert (await found(views, task_id())).attempt == 10**30

    async def test_many_tasks_fit_one_batch(self, views: Views) -> None:
        names = [f"t-{n}" for n in range(2_500)]
        log = [submitted(name, labels={"all": "yes"}) for name in names]
        await views.writer.save(update(*log, *map(started, names), after={RESULTS: 2_500}))
        stored = await views.writer.progress(map(task_id, names))
        assert len(stored) == 2_500
        page = await views.store.list(TaskFilter(labels={"all": "yes"}), 3_000, None)
        assert {task.state for task in page.items} == {TaskState.WORKING}
        assert len(page.items) == 2_500

    async def test_an_empty_batch_may_move_offsets_alone(self, views: Views) -> None:
        await views.writer.save(update())
        await views.writer.save(update(after={TRACES: 7}))
        assert await views.writer.offsets() == {TRACES: 7}

    async def test_clear_forgets_everything(self, views: Views) -> None:
        batch = update(submitted(labels={"a": "b"}), started(), after={RESULTS: 1})
        await views.writer.save(batch)
        await views.writer.clear()
        assert await views.writer.offsets() == {}
        assert await views.store.find(task_id()) is None
        assert await views.store.events(task_id()) == []
        assert await views.writer.progress([task_id()]) == {}
        assert ids(await views.store.list(TaskFilter(labels={"a": "b"}), 10, None)) == []
        await views.writer.save(batch)
        assert (await found(views, task_id())).state is TaskState.WORKING

    async def test_a_log_that_begins_anew_leaves_what_has_ended_and_asks_for_the_rest_again(
        self, views: Views
    ) -> None:
        waiting = submitted("waiting", labels={"a": "b"}, after=1)
        cut_off = submitted("cut off", traceparent=TRACEPARENT)
        log = [cut_off, started("cut off"), submitted("done"), completed("done"), waiting]
        await views.writer.save(update(*log, started("unheard of"), after={RESULTS: 9}))
        for _ in range(2):
            assert await views.writer.begin_anew() == [cut_off, waiting]
        assert await views.writer.offsets() == {}
        assert (await found(views, task_id("done"))).state is TaskState.COMPLETED
        assert await views.store.events(task_id("done"))
        again = await found(views, task_id("cut off"))
        assert (again.state, again.reason, again.attempt) == (TaskState.SUBMITTED, "queued", 0)
        assert await views.store.events(task_id("cut off")) == []
        assert await views.store.find(task_id("unheard of")) is None
        labelled = await views.store.list(TaskFilter(labels={"a": "b"}), 10, None)
        assert ids(labelled) == [task_id("waiting")]

    async def test_a_ping_is_answered(self, views: Views) -> None:
        await views.store.ping()


async def found(views: Views, wanted: TaskId) -> Task:
    task = await views.store.find(wanted)
    assert task is not None
    return task


def ids(page: Page) -> Sequence[TaskId]:
    return [task.id for task in page.items]
