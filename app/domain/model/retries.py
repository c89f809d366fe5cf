"""Given a failure, when to try again or give up."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.model.events import TaskError
from app.domain.model.numbers import A_NUMBER


class RetryPolicy(BaseModel):
    """How an agent's runs are repeated; times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: Annotated[int, Field(ge=1, le=100), A_NUMBER] = 3
    """Runs in all, the first one included; 1 never tries again."""
    backoff_seconds: Annotated[float, Field(gt=0, le=86_400), A_NUMBER] = 1.0
    """Wait before the second run; it doubles with each one after it."""
    ceiling_seconds: Annotated[float, Field(gt=0, le=604_800), A_NUMBER] = 300.0
    """The longest wait, unless a provider asks for more."""
    jitter: Annotated[float, Field(ge=0, le=1), A_NUMBER] = 0.2
    """The part of a wait that is left to chance, so that what failed together comes back apart."""
    codes: frozenset[str] | None = None
    """The error codes worth another try; by default those failures that say so themselves."""

    def repeats(self, error: TaskError) -> bool:
        """Whether a run that ended so is worth another one, as long as there are attempts left."""
        return error.retryable if self.codes is None else error.code in self.codes

    def wait(
        self, error: TaskError, failures: int, chance: float, asked: float | None = None
    ) -> float | None:
        """Seconds until the next run, or None to give up.

        `failures` counts this one too; `chance` is from 0 to 1; `asked` is how long a provider
        wants us to stay away, which we never cut short.
        """
        if not self.repeats(error) or failures >= self.attempts:
            return None
        doublings = min(failures - 1, 64)
        wait: float = min(self.backoff_seconds * 2**doublings, self.ceiling_seconds)
        return max(wait * (1 + self.jitter * (2 * chance - 1)), asked or 0.0)
