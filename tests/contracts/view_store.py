"""What every ViewStore must keep; each adapter's test class subclasses this."""

from dataclasses import replace

import pytest

from app.domain.model.commands import Earlier
from app.domain.model.events import Usage
from app.domain.model.ids import ContextId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Message
from app.domain.model.progress import fold
from app.domain.model.task import describe, summary
from app.ports.event_log import Shard
from app.ports.status_store import (
    CommandPlace,
    OffsetsMoved,
    TaskFilter,
    ViewUpdate,
)
from tests.builders import (
    TRACEPARENT,
    at,
    canceled,
    canceling,
    completed,
    failed,
    input_required,
    progressed,
    redriven,
    retry_scheduled,
    started,
    stepped,
    submitted,
    task_id,
)
from tests.contracts.views import COMMANDS, RESULTS, TRACES, Views, found, ids, update


class ViewStoreContract:
    @pytest.fixture
    def views(self) -> Views:
        raise NotImplementedError("the subclass provides the views under test")

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
            [TaskState.COMPLETED], command.agent, ContextId("talk-1"), {"team": "blue"}
        )
        assert ids(await views.store.list(wanted, 10, None)) == [command.id]

    async def test_open_tasks_are_found_by_where_their_latest_message_stands(
        self, views: Views
    ) -> None:
        def standing(*messages: Message, **where: tuple[int, Shard, int]) -> ViewUpdate:
            places = {task_id(n): CommandPlace(at, *s, o) for n, (at, s, o) in where.items()}
            return replace(update(*messages), places=places)

        other = Shard(COMMANDS.topic, 1)
        below = [submitted("queued"), submitted("runs"), started("runs"), submitted("waits")]
        moved = [submitted("ended"), completed("ended"), submitted("moved"), submitted("again")]
        first = standing(
            *below,
            *moved,
            queued=(1, COMMANDS, 3),
            runs=(1, COMMANDS, 4),
            waits=(1, COMMANDS, 5),
            ended=(1, COMMANDS, 0),
            moved=(1, COMMANDS, 1),
            again=(9, COMMANDS, 6),
        )
        then = standing(
            submitted("moved"), submitted("again"), moved=(2, other, 0), again=(8, COMMANDS, 2)
        )
        for each in (first, then):  # in the log's order, and of two partitions in any other
            await views.writer.save(each)
        found = await views.store.unfinished(COMMANDS, 5)
        assert {(each.task.id, each.offset) for each in found} == {
            (task_id("queued"), 3),
            (task_id("runs"), 4),
        }
        assert {each.task.state for each in found} == {TaskState.SUBMITTED, TaskState.WORKING}
        (behind,) = await views.store.unfinished(COMMANDS, 5, behind=3)
        assert behind.offset == 4
        assert [each.task.id for each in await views.store.unfinished(other, 9)] == [
            task_id("moved")
        ]
        assert await views.store.unfinished(COMMANDS, 0) == []
        await views.writer.begin_anew()
        assert await views.store.unfinished(COMMANDS, 100) == []

    @pytest.mark.parametrize("first", ["command", "cancel", "together"])
    async def test_a_task_somebody_wants_canceled_says_so_until_it_has_ended(
        self, views: Views, first: str
    ) -> None:
        command, cancel = submitted(), canceling(after=3)
        parts = [update(command), update(cancel)]
        if first == "cancel":
            parts.reverse()
        elif first == "together":
            parts = [update(command, cancel)]
        for part in parts:
            await views.writer.save(part)
        task = await found(views, command.id)
        assert (task.state, task.reason) == (TaskState.SUBMITTED, Reason.CANCELING)
        assert task.updated_at == cancel.at
        await views.writer.save(update(started()))
        (listed,) = (await views.store.list(TaskFilter(), 10, None)).items
        assert listed == summary(await found(views, command.id))
        assert (listed.state, listed.reason) == (TaskState.WORKING, Reason.CANCELING)
        ended = [started(), canceled(sequence=2)]
        await views.writer.save(update(*ended))
        task = await found(views, command.id)
        assert task == describe(command, update(*ended).progress[command.id])
        assert (task.state, task.reason) == (TaskState.CANCELED, None)

    async def test_a_completed_task_stays_completed_whatever_is_asked_later(
        self, views: Views
    ) -> None:
        await views.writer.save(update(submitted(), completed()))
        before = await found(views, task_id())
        await views.writer.save(update(canceling()))
        assert await found(views, task_id()) == before

    async def test_a_cancel_alone_makes_no_task(self, views: Views) -> None:
        await views.writer.save(update(canceling()))
        assert await views.store.find(task_id()) is None
        assert ids(await views.store.list(TaskFilter(), 10, None)) == []

    async def test_the_latest_cancel_counts_in_whatever_order_they_come(self, views: Views) -> None:
        await views.writer.save(update(submitted(), canceling(after=9), canceling(after=5)))
        await views.writer.save(update(canceling(after=7)))
        assert (await found(views, task_id())).updated_at == canceling(after=9).at

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
        await views.writer.save(update(canceling()))
        await views.writer.clear()
        assert await views.writer.offsets() == {}
        assert await views.store.find(task_id()) is None
        assert await views.store.events(task_id()) == []
        assert await views.writer.progress([task_id()]) == {}
        assert ids(await views.store.list(TaskFilter(labels={"a": "b"}), 10, None)) == []
        await views.writer.save(batch)
        again = await found(views, task_id())
        assert (again.state, again.reason) == (TaskState.WORKING, None)

    async def test_a_log_that_begins_anew_leaves_what_has_ended_and_asks_for_the_rest_again(
        self, views: Views
    ) -> None:
        waiting = submitted("waiting", labels={"a": "b"}, after=1)
        cut_off = submitted("cut off", traceparent=TRACEPARENT)
        log = [cut_off, started("cut off"), submitted("done"), completed("done"), waiting]
        unwanted = canceling("waiting", "enough")
        log += [unwanted, canceling("done"), canceling("nobody's")]
        await views.writer.save(update(*log, started("unheard of"), after={RESULTS: 9}))
        for _ in range(2):
            assert await views.writer.begin_anew() == [unwanted, cut_off, waiting]
        assert await views.writer.offsets() == {}
        assert (await found(views, task_id("done"))).state is TaskState.COMPLETED
        assert await views.store.events(task_id("done"))
        again = await found(views, task_id("cut off"))
        assert (again.state, again.reason, again.attempt) == (TaskState.SUBMITTED, "queued", 0)
        assert await views.store.events(task_id("cut off")) == []
        assert await views.store.find(task_id("unheard of")) is None
        labelled = await views.store.list(TaskFilter(labels={"a": "b"}), 10, None)
        assert ids(labelled) == [task_id("waiting")]
        assert labelled.items[0].reason is Reason.CANCELING
        await views.writer.save(update(submitted("nobody's")))
        assert (await found(views, task_id("nobody's"))).reason is Reason.QUEUED

    async def test_a_redriven_task_goes_on_from_its_redrive_where_the_log_begins_anew(
        self, views: Views
    ) -> None:
        command = submitted()
        before = [started(), stepped(sequence=2), failed(sequence=3), redriven(sequence=4)]
        again = [started(attempt=2, after=9), failed(attempt=2, after=10)]
        twice = [redriven(attempt=2, redrives=2, after=20)]
        lost = [started(attempt=3, after=21), stepped(attempt=3, after=22)]
        await views.writer.save(update(command, *before, *again, *twice, *lost))
        earlier = Earlier(attempts=2, redrives=2, redriven_at=at(20))
        for _ in range(2):
            (asked,) = await views.writer.begin_anew()
            assert asked == command.model_copy(update={"earlier": earlier})
        task = await found(views, command.id)
        assert (task.state, task.reason, task.attempt) == (TaskState.SUBMITTED, "queued", 2)
        assert [each.state for each in task.attempts] == [TaskState.FAILED, TaskState.FAILED]
        assert await views.store.events(command.id) == [*before, *again, *twice]
        known = await views.writer.progress([command.id])
        told = fold(known[command.id], completed(attempt=3, after=30), 0)
        await views.writer.save(replace(update(), progress={command.id: told}))
        assert (await found(views, command.id)).state is TaskState.COMPLETED
