"""The breaker: what opens it, what it does not mind, and how it finds a provider back."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.adapters.limits.breaker import CircuitBreaker
from app.ports.chat_model import (
    ContextTooLong,
    EmptyAnswer,
    ModelFailed,
    ModelRateLimited,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
    ModelUnreachable,
)

DOWN = ModelUnavailable("overloaded", status=503)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("openai", failures=3, seconds=30, now=clock)


def fails(breaker: CircuitBreaker, failure: BaseException = DOWN) -> None:
    with pytest.raises(type(failure)), breaker.call():
        raise failure


def answers(breaker: CircuitBreaker) -> None:
    with breaker.call():
        pass


def is_open(breaker: CircuitBreaker) -> bool:
    try:
        breaker.check()
    except ModelUnavailable:
        return True
    return False


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    for _ in range(2):
        fails(breaker)
        assert not is_open(breaker)
    fails(breaker)
    with pytest.raises(ModelUnavailable, match="openai has failed 3 times in a row") as refused:
        breaker.check()
    assert refused.value.retry_after == 30


def test_an_answer_between_failures_keeps_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        fails(breaker)
        fails(breaker)
        answers(breaker)
    assert not is_open(breaker)


@pytest.mark.parametrize(
    "failure",
    [
        ModelUnavailable("500", status=500),
        ModelUnavailable("no JSON"),
        ModelUnreachable("timeout"),
    ],
    ids=str,
)
def test_a_provider_that_is_away_opens_it(breaker: CircuitBreaker, failure: ModelFailed) -> None:
    for _ in range(3):
        fails(breaker, failure)
    assert is_open(breaker)


@pytest.mark.parametrize(
    "failure",
    [
        ModelRateLimited("429", status=429),
        ModelUnavailable("408", status=408),
        ModelUnauthorized("401", status=401),
        ModelRefused("400", status=400),
        ContextTooLong("400", status=400),
        EmptyAnswer("nothing"),
    ],
    ids=str,
)
def test_a_provider_that_refuses_does_not_open_it(
    breaker: CircuitBreaker, failure: ModelFailed
) -> None:
    for _ in range(2):
        fails(breaker)
    for _ in range(10):
        fails(breaker, failure)
    fails(breaker)
    assert not is_open(breaker)


@pytest.mark.parametrize("ending", [asyncio.CancelledError(), RuntimeError("a bug")], ids=repr)
def test_what_says_nothing_about_the_provider_changes_nothing(
    breaker: CircuitBreaker, ending: BaseException
) -> None:
    fails(breaker)
    fails(breaker)
    fails(breaker, ending)
    assert not is_open(breaker)
    fails(breaker)
    assert is_open(breaker)


def test_after_its_time_one_probe_passes_and_an_answer_closes_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker, clock)
    with breaker.call():
        with pytest.raises(ModelUnavailable) as refused:
            breaker.check()
        assert refused.value.retry_after == 1
    answers(breaker)
    answers(breaker)


def test_a_probe_that_fails_opens_it_again_for_as_long(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker, clock)
    fails(breaker)
    clock.now += 29.9
    assert is_open(breaker)
    clock.now += 0.2
    answers(breaker)
    fails(breaker)
    assert not is_open(breaker), "the count began anew"


@pytest.mark.parametrize("ending", [asyncio.CancelledError(), RuntimeError("a bug")], ids=repr)
def test_after_a_probe_that_was_cut_off_the_next_call_is_one(
    breaker: CircuitBreaker, clock: Clock, ending: BaseException
) -> None:
    opened(breaker, clock)
    fails(breaker, ending)
    fails(breaker)
    assert is_open(breaker)


def test_calls_that_began_before_it_opened_do_not_keep_it_open_longer(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    def is_slow() -> None:
        with breaker.call():
            opened_now(breaker)
            clock.now += 20
            raise DOWN

    with pytest.raises(ModelUnavailable):
        is_slow()
    clock.now += 10
    answers(breaker)


def opened_now(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        fails(breaker)
    assert is_open(breaker)


def opened(breaker: CircuitBreaker, clock: Clock) -> None:
    opened_now(breaker)
    clock.now += 30


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens, a provider that answers again is asked again."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker("openai", failures=3, seconds=30, now=self.clock)
        self.in_a_row = 0

    def _call(self, happen: Callable[[], None]) -> bool:
        if is_open(self.breaker):
            return False
        happen()
        return True

    @rule()
    def fail(self) -> None:
        self.in_a_row += self._call(lambda: fails(self.breaker))

    @rule()
    def answer(self) -> None:
        if self._call(lambda: answers(self.breaker)):
            self.in_a_row = 0

    @rule()
    def cancel(self) -> None:
        self._call(lambda: fails(self.breaker, asyncio.CancelledError()))

    @rule(seconds=st.floats(min_value=0.1, max_value=40))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def open_only_after_failures_in_a_row(self) -> None:
        assert self.in_a_row >= 3 or not is_open(self.breaker)

    @invariant()
    def never_open_for_longer_than_its_time(self) -> None:
        now = self.clock.now
        self.clock.now += 30
        assert not is_open(self.breaker)
        self.clock.now = now


TestAnyHistory = AnyHistory.TestCase
