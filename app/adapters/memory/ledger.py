"""A ledger in one process: enough for a single worker, and forgotten when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.model.budgets import BudgetExceeded, Spend, refusal, require_possible
from app.ports.clock import Clock
from app.ports.ledger import Ledger, Reservation


@dataclass
class _Booked:
    forget_at: datetime
    total: Spend = field(default_factory=Spend)
    open: dict[str, Spend] = field(default_factory=dict)
    """Reservations that are not settled."""


class MemoryLedger(Ledger):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._booked: dict[str, _Booked] = {}

    async def reserve(self, reservation: Reservation) -> None:
        require_possible(reservation.spend)
        now = self._clock.now()
        self._forget(now)
        if any(reservation.id in self._open(account.name) for account in reservation.accounts):
            return
        for account in reservation.accounts:
            spent = self._total(account.name)
            if words := refusal(account.owner, account.budget, spent, reservation.spend):
                raise BudgetExceeded(words)
        for account in reservation.accounts:
            booked = self._booked.setdefault(account.name, _Booked(now))
            booked.total += reservation.spend
            booked.open[reservation.id] = reservation.spend
            booked.forget_at = now + timedelta(seconds=account.keep_seconds)

    async def settle(self, reservation: Reservation, spent: Spend) -> None:
        spent = spent if spent.possible else reservation.spend
        for account in reservation.accounts:
            booked = self._booked.get(account.name)
            if booked and (reserved := booked.open.pop(reservation.id, None)):
                booked.total += spent - reserved

    async def spent(self, names: Sequence[str]) -> list[Spend]:
        self._forget(self._clock.now())
        return [self._total(name) for name in names]

    def _total(self, name: str) -> Spend:
        booked = self._booked.get(name)
        return booked.total if booked else Spend()

    def _open(self, name: str) -> dict[str, Spend]:
        booked = self._booked.get(name)
        return booked.open if booked else {}

    def _forget(self, now: datetime) -> None:
        for name in [name for name, each in self._booked.items() if each.forget_at < now]:
            del self._booked[name]
