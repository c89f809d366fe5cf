"""What a crew's failure means: the one place that decides whether another try could help."""

from crewai.hooks.dispatch import HookAborted
from crewai.tools.tool_failure import ToolExecutionFailedError
from pydantic import ValidationError

from app.domain.model.blame import place_of
from app.domain.model.budgets import BudgetExceeded
from app.domain.model.errors import RunFailed
from app.ports.chat_model import ModelFailed
from app.ports.sdk_errors import as_model_failure, causes_of
from app.ports.tools import ToolFailed

NO_OUTPUT = "Agent completed execution but produced no final output."
"""What CrewAI calls a success when a model said nothing at all."""


class CrewExited(Exception):
    """CrewAI wanted to end the process."""


def run_failed(error: BaseException) -> RunFailed:
    """The verdict on what ended a crew."""
    match error:
        case RunFailed():
            return error
        case BudgetExceeded() | HookAborted():
            code = error.code if isinstance(error, BudgetExceeded) else "crew-stopped"
            return RunFailed(code, _words(error), retryable=False)
        case ModelFailed():
            return RunFailed(
                error.code,
                error.message,
                retryable=error.retryable,
                retry_after=error.retry_after,
            )
        case ToolFailed():
            return RunFailed(
                error.code,
                error.message,
                retryable=error.worth_retrying,
                retry_after=error.retry_after,
            )
        case ToolExecutionFailedError():
            return RunFailed("tool-failed", _words(error), retryable=False)
    return _of_somebodys_own_crew(error)


def _of_somebodys_own_crew(error: BaseException) -> RunFailed:
    """Failures that only a crew with its own models and guardrails has; some are told as text."""
    chain = list(causes_of(error))
    words = _words(error)
    if place := next(filter(None, map(place_of, chain)), None):
        words = f"{words} ({place})"
    if failure := as_model_failure(error, "its model"):
        retryable, wait = failure.retryable, failure.retry_after
        return RunFailed(failure.code, words, retryable=retryable, retry_after=wait)
    if "None or empty" in words:
        return RunFailed("model-empty-answer", words, retryable=True)
    if "guardrail" in words or any(isinstance(each, ValidationError) for each in chain):
        return RunFailed("output-invalid", words, retryable=False)
    if "template variable" in words:
        return RunFailed("invalid", words, retryable=False)
    return RunFailed("crew-failed", words, retryable=False)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
