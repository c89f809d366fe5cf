"""What the checker found: which promise was broken, for which task, and that task's whole story."""

from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.evidence import Evidence
from tests.chaos.story import story


class Promise(StrEnum):
    """What must hold whatever breaks; numbered as in `docs/chaos.md`."""

    ENDS = "1 every accepted task ends"
    STAYS_ENDED = "2 an ending never changes"
    TOLD_ALIKE = "3 log, store and HTTP tell the same"
    ONE_EFFECT = "4 a step takes effect once"
    ONE_OWNER = "5 no two live workers run one task"
    ONE_TASK = "6 one request is one task"
    CANCELED = "7 what is canceled stops"
    COMMITTED = "8 what is committed is durable"
    CONSERVED = "9 every message has an outcome"
    REBUILT = "10 views built anew are the same"
    ORDERED = "11 order is kept"
    CLEAN = "12 nothing is left behind"
    NOT_AGAIN = "13 what has ended is not run again"
    ONE_RUN = "14 what is sent twice is run once"
    REDRIVEN = "15 a redrive brings back what is dead"


@dataclass(frozen=True, slots=True)
class Finding:
    promise: Promise
    says: str
    task_id: str | None = None

    def __str__(self) -> str:
        about = f" [{self.task_id}]" if self.task_id else ""
        return f"{self.promise}: {self.says}{about}"

    def told(self, evidence: Evidence) -> str:
        """The finding with all that is known of its task, in the order it happened."""
        if self.task_id is None:
            return str(self)
        return "\n".join([str(self), *(f"    {line}" for line in story(evidence, self.task_id))])
