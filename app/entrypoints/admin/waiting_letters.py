"""How many dead letters wait for somebody, asked of the views."""

import asyncio
from contextlib import suppress

from prometheus_client import CollectorRegistry, Gauge

from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.errors import Unavailable
from app.ports.letter_store import LetterStore

_EVERY = 15.0


class WaitingLetters:
    """Looks now and then; what it says is true of the whole installation."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "crewline_dead_letters_waiting",
            "Dead letters nothing was done about yet.",
            ("reason",),
            registry=registry,
        )

    async def watch(self, letters: LetterStore) -> None:
        """Look until cancelled; while the views are away it says what it saw last."""
        while True:
            with suppress(Unavailable):  # the projector's readiness says so
                await self.look(letters)
            await asyncio.sleep(_EVERY)

    async def look(self, letters: LetterStore) -> None:
        """Count once."""
        waiting = await letters.waiting()
        for reason in DeadLetterReason:
            self._waiting.labels(reason).set(waiting.get(reason, 0))
