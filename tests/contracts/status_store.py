"""What every StatusStore must answer; each adapter's test class subclasses this."""

import asyncio

import pytest

from app.domain.model.commands import MOST_LABELS
from app.domain.model.errors import InvalidInput
from app.domain.model.events import Event, InputRequest, TaskError
from app.domain.model.ids import ContextId, TaskId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.priorities import Priority
from app.domain.model.progress import fold
from app.domain.model.task import describe, summary
from app.ports.event_log import Shard
from app.ports.status_store import TaskFilter, ViewUpdate
from tests.builders import (
    TRACEPARENT,
    at,
    completed,
    failed,
    input_required,
    progressed,
    redriven,
    started,
    stepped,
    submitted,
    task_id,
    token,
)
from tests.contracts.views import Views, found, ids, update


class StatusStoreContract:
    @pytest.fixture
    def views(self) -> Views:
        raise NotImplementedError("the subclass provides the views under test")

    async def test_what_was_asked_for_is_kept_word_for_word(self, views: Views) -> None:
        command = submitted(
            input={"question": "naïve? \x00 🙂"},
            parameters={"deep": {"er": [None, 1.5, True]}},
            labels={"team": "blue"},
            model="openai:gpt-5",
            timeout_seconds=5,
            expires_at=at(60),
            traceparent=TRACEPARENT,
        )
        await views.writer.save(update(command))
        await views.writer.save(update(submitted(input="another"), started()))
        assert await views.store.command(command.id) == command
        await views.writer.save(update(started("t-2")))
        assert await views.store.command(task_id("t-2")) is None
        assert await views.store.command(task_id("nobody")) is None

    async def test_an_unknown_task_is_not_found(self, views: Views) -> None:
        assert await views.store.find(task_id("nobody")) is None
        assert await views.store.events(task_id("nobody")) == []

    async def test_what_ran_of_many_tasks_is_told_at_once(self, views: Views) -> None:
        await views.writer.save(
            update(submitted("queued"), submitted("ended"), started("ended"), completed("ended"))
        )
        opened = [started("opened"), failed("opened"), redriven("opened")]
        again = [started("again"), failed("again"), started("again", attempt=2)]
        await views.writer.save(update(*opened, *again))
        names = ("queued", "ended", "opened", "again", "unheard of")
        past = await views.store.past([task_id(name) for name in names])
        assert past == {
            task_id("ended"): (1, 1),
            task_id("opened"): (1, 1),
            task_id("again"): (2, 1),
        }
        assert await views.store.past([]) == {}

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

    async def test_many_or_large_events_come_in_portions_that_part_nothing(
        self, views: Views
    ) -> None:
        told = [started(), *(token(sequence=n, text="x" * 20_000) for n in range(2, 12))]
        several = [progressed(sequence=12), token(sequence=12), completed(sequence=12)]
        small = [token(attempt=2, sequence=n, text="y") for n in range(1, 2_500)]
        await views.writer.save(update(*told, *several, *small))
        seen: list[Event] = []
        sizes = []
        while portion := await views.store.events(
            task_id(), (seen[-1].attempt, seen[-1].sequence) if seen else (0, 0)
        ):
            seen += portion
            sizes.append(sum(len(each.model_dump_json()) for each in portion))
        assert [each.TYPE for each in seen[11:14]] == sorted(each.TYPE for each in several)
        assert seen == [*told, *sorted(several, key=lambda each: each.TYPE), *small]
        assert len(sizes) > 5
        assert max(sizes) < 400_000
        await views.writer.save(
            update(started("t-2"), token("t-2", sequence=2, text="z" * 900_000))
        )
        assert len(await views.store.events(task_id("t-2"), (1, 1))) == 1
        assert await views.store.events(task_id("t-2"), (10**30, 10**30)) == []

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
            "a": TaskFilter(states=[TaskState.WORKING]),
            "b": TaskFilter(states=[TaskState.SUBMITTED]),
            "c": TaskFilter(agent=submitted(agent="writer").agent),
            "a ": TaskFilter(context_id=ContextId("talk")),
            "b ": TaskFilter(context_id=ContextId("talk\x00")),
            "a  ": TaskFilter(labels={"team": "blue", "env": "prod"}),
            "c ": TaskFilter(labels={"team": "red \x00"}),
            "": TaskFilter(states=[TaskState.WORKING], labels={"env": "test"}),
        }
        for name, wanted in wishes.items():
            expected = [task_id(name.strip())] if name else []
            assert ids(await views.store.list(wanted, 10, None)) == expected, wanted

    async def test_a_list_is_narrowed_by_as_many_labels_as_a_task_may_have(
        self, views: Views
    ) -> None:
        every = {f"key-{number}": f"value {number}" for number in range(MOST_LABELS)}
        last = f"key-{MOST_LABELS - 1}"
        await views.writer.save(
            update(
                submitted("all", labels=every),
                submitted("most", labels={k: v for k, v in every.items() if k != last}, after=1),
                submitted("other", labels={**every, last: "another"}, after=2),
                *(submitted(f"t-{n}", labels=every, after=3 + n) for n in range(50)),
            )
        )
        # each state has a query of its own: this is the most that can be asked for
        async with asyncio.timeout(10):
            wanted = TaskFilter(states=[*TaskState], labels=every)
            page = await views.store.list(wanted, 50, None)
            assert ids(page) == [task_id(f"t-{n}") for n in reversed(range(50))]
            assert ids(await views.store.list(wanted, 50, page.next_cursor)) == [task_id("all")]
        other = TaskFilter(labels={last: "another", "key-0": "value 0"})
        assert ids(await views.store.list(other, 10, None)) == [task_id("other")]

    async def test_a_list_holds_any_of_several_states(self, views: Views) -> None:
        names = "abcdefghi"
        await views.writer.save(
            update(
                *(submitted(name, after=number) for number, name in enumerate(names)),
                *(started(name) for name in "bcefh"),
                *(completed(name) for name in "ceh"),
                *(failed(name) for name in "f"),
            )
        )
        wanted = TaskFilter(states=[TaskState.FAILED, TaskState.COMPLETED, TaskState.WORKING])
        fitting = [task_id(name) for name in "hfecb"]
        assert ids(await views.store.list(wanted, 10, None)) == fitting
        seen: list[TaskId] = []
        cursor = None
        for _ in range(3):
            page = await views.store.list(wanted, 2, cursor)
            seen += ids(page)
            cursor = page.next_cursor
            await views.writer.save(update(submitted(f"new-{cursor}", after=99)))
        assert (seen, cursor) == (fitting, None)
        twice = TaskFilter(states=[TaskState.FAILED, TaskState.FAILED])
        assert ids(await views.store.list(twice, 10, None)) == [task_id("f")]

    async def test_a_list_holds_what_was_handed_in_between_two_moments(self, views: Views) -> None:
        labels = {"team": "blue"}
        commands = [submitted(f"t-{n}", after=n / 1_000, labels=labels) for n in range(6)]
        await views.writer.save(update(*commands))
        for filtered in (labels, {}):

            async def found_between(
                after: float | None, before: float | None, labels: dict[str, str] = filtered
            ) -> list[int]:
                wanted = TaskFilter(
                    states=[TaskState.SUBMITTED, TaskState.WORKING],
                    labels=labels,
                    created_after=None if after is None else at(after / 1_000),
                    created_before=None if before is None else at(before / 1_000),
                )
                found = ids(await views.store.list(wanted, 10, None))
                return sorted(n for n in range(6) if task_id(f"t-{n}") in found)

            assert await found_between(2, None) == [3, 4, 5]
            assert await found_between(None, 2) == [0, 1]
            assert await found_between(1, 4) == [2, 3]
            assert await found_between(1.5, 2.5) == [2]  # finer than a task's own moment
            assert await found_between(4, 1) == []
            assert await found_between(2, 2) == []

    @pytest.mark.parametrize("large", [False, True])
    async def test_a_list_shows_all_but_what_may_be_large(self, views: Views, large: bool) -> None:
        """Whatever is in it: a database may refuse to read some of this as JSON."""
        text = "x\x00 \\u0000" * (50_000 if large else 1)
        command = submitted(
            input={"question": text},
            parameters={"deep": [text]},
            context_id="talk",
            labels={"team": "blue"},
            priority=Priority.HIGH,
            runtime="rules",
            traceparent=TRACEPARENT,
        )
        question = InputRequest(prompt=f"Why? {text}", schema={"description": text})
        error = TaskError(code="model-refused", message=f"No. {text}", retryable=True)
        runs = [
            message
            for attempt in range(1, 31)
            for message in (
                started(attempt=attempt, after=attempt),
                failed(attempt=attempt, after=attempt).model_copy(update={"error": error}),
            )
        ]
        asks = input_required("t-2").model_copy(update={"input_request": question})
        await views.writer.save(update(command, *runs, started("t-2"), asks))
        await views.writer.save(update(submitted("t-3", input=text), completed("t-3", output=text)))
        listed = {task.id: task for task in (await views.store.list(TaskFilter(), 10, None)).items}
        for name, task in listed.items():
            assert task == summary(await found(views, name))
            assert not {"input", "parameters", "result"} & task.model_dump().keys()
            assert len(task.model_dump_json()) < 60_000
        task = listed[command.id]
        assert (task.context_id, task.labels) == ("talk", {"team": "blue"})
        assert task.error is not None
        assert task.error.message.startswith("No. x")
        assert [each.number for each in task.attempts] == list(range(11, 31))
        request = listed[task_id("t-2")].input_request
        assert request is not None
        assert request.prompt.startswith("Why? x")

    @pytest.mark.parametrize("cursor", ["", "x", "é", "MTcvYWJj", "LzA", "=" * 9, "A" * 4000])
    async def test_a_broken_cursor_is_invalid(self, views: Views, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            await views.store.list(TaskFilter(), 10, cursor)

    async def test_it_says_how_much_of_the_log_it_answers_from(self, views: Views) -> None:
        assert await views.store.offsets() == {}
        shard = Shard("crewline.results", 2)
        await views.writer.save(ViewUpdate([], {}, [], before={}, after={shard: 17}))
        assert await views.store.offsets() == {shard: 17}

    async def test_a_ping_is_answered(self, views: Views) -> None:
        await views.store.ping()
