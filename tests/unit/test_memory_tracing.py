"""The tracing that remembers and the tracing that does not."""

import pytest

from app.adapters.memory.tracing import NullTracing, RecordingTracing
from app.ports.tracing import Tracing
from tests.builders import TRACEPARENT, task_id
from tests.contracts.tracing import ObservedTracingContract, Shown, TracingContract, origin


class TestNullTracing(TracingContract):
    @pytest.fixture
    def tracing(self) -> NullTracing:
        return NullTracing()

    def test_it_makes_nothing_for_a_delivery(self, tracing: NullTracing) -> None:
        first = tracing.processing(origin(1), None, None, 1)
        assert tracing.processing(origin(2), None, None, 1) is first


class TestRecordingTracing(ObservedTracingContract):
    @pytest.fixture
    def tracing(self) -> RecordingTracing:
        return RecordingTracing()

    def shown(self, tracing: Tracing) -> list[list[Shown]]:
        assert isinstance(tracing, RecordingTracing)
        return [
            [
                Shown(
                    each.kind,
                    each.name,
                    each.parent,
                    each.error,
                    (each.input_tokens, each.output_tokens),
                )
                for each in run.activities
            ]
            for run in tracing.runs
            if run.over
        ]

    def test_a_run_remembers_what_it_was_told(self, tracing: RecordingTracing) -> None:
        error = RuntimeError("boom")
        with (
            pytest.raises(RuntimeError),
            tracing.processing(origin(9), TRACEPARENT, task_id(), 2),
        ):
            raise error
        (run,) = tracing.runs
        assert (run.origin.offset, run.traceparent, run.task_id, run.attempt, run.error) == (
            9,
            TRACEPARENT,
            task_id(),
            2,
            error,
        )
