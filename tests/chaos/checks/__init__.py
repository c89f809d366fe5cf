"""Every promise has a check: a function of the evidence that yields what contradicts it."""

from collections.abc import Callable, Iterator

from tests.chaos.checks.cancels import check_cancels
from tests.chaos.checks.commits import check_commits
from tests.chaos.checks.effects import check_effects
from tests.chaos.checks.endings import check_endings
from tests.chaos.checks.order import check_order
from tests.chaos.checks.owners import check_owners
from tests.chaos.checks.redrives import check_redrives
from tests.chaos.checks.remains import check_remains
from tests.chaos.checks.submissions import check_submissions
from tests.chaos.evidence import Evidence
from tests.chaos.findings import Finding

CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    check_endings,
    check_effects,
    check_owners,
    check_submissions,
    check_cancels,
    check_commits,
    check_order,
    check_redrives,
    check_remains,
)


def check(evidence: Evidence) -> list[Finding]:
    """All that is wrong."""
    return [finding for each in CHECKS for finding in each(evidence)]
