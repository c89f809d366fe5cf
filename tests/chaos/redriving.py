"""Operators who send dead letters' messages again: some twice, some of tasks that are well."""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.history import History, Redrive

_TWICE = 0.4
_EDITED = 0.3
_LOOKS = 15
_LOOK_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Asked:
    letter_id: str
    task_id: str | None
    value: dict[str, Any] | None
    """What to send instead of what lies there."""


@dataclass(slots=True)
class Redrivers:
    gateways: Sequence[str]
    history: History
    chance: random.Random
    unanswered: dict[str, Asked] = field(default_factory=dict)
    """By letter: what nobody knows of whether it was done."""
    accepted: dict[str, Asked] = field(default_factory=dict)

    async def redrive(self, count: int, of_tasks: Collection[str] = ()) -> None:
        """Redrive letters that wait, those of these tasks first, and one that was redriven."""
        async with httpx.AsyncClient(timeout=8) as http:
            letters = await self._waiting(http, of_tasks)
            self.chance.shuffle(letters)
            letters.sort(key=lambda letter: letter["task_id"] not in of_tasks)
            old = self.chance.sample(sorted(self.accepted), min(1, len(self.accepted)))
            await asyncio.gather(
                *(self._redrive(http, letter) for letter in letters[:count]),
                *(self._ask(http, self.accepted[letter_id]) for letter_id in old),
            )

    async def finish(self, patience: float) -> None:
        """Ask again until each answer is known: a redrive that broke off is to be repeated."""
        until = time.monotonic() + patience
        async with httpx.AsyncClient(timeout=8) as http:
            while self.unanswered and time.monotonic() < until:
                for asked in list(self.unanswered.values()):
                    await self._ask(http, asked)
                if self.unanswered:
                    await asyncio.sleep(1)

    async def _redrive(self, http: httpx.AsyncClient, letter: dict[str, Any]) -> None:
        value = None
        if letter["reason"] == "undecodable" and self.chance.random() < _EDITED:
            value = {"input": f"mended {letter['id']}"}
        asked = Asked(letter["id"], letter["task_id"], value)
        times = 2 if self.chance.random() < _TWICE else 1
        await asyncio.gather(*(self._ask(http, asked) for _ in range(times)))

    async def _waiting(
        self, http: httpx.AsyncClient, of_tasks: Collection[str]
    ) -> list[dict[str, Any]]:
        """The newest; waits a moment for those of these tasks."""
        letters: list[dict[str, Any]] = []
        for _ in range(_LOOKS):
            url = f"{self.chance.choice(self.gateways)}/v1/dead-letters?state=waiting&limit=50"
            try:
                answer = await http.get(url)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                letters = answer.json()["items"]
                if {letter["task_id"] for letter in letters} >= set(of_tasks):
                    break
            await asyncio.sleep(_LOOK_AGAIN)
        return letters

    async def _ask(self, http: httpx.AsyncClient, asked: Asked) -> None:
        began, status = time.time(), None
        url = f"{self.chance.choice(self.gateways)}/v1/dead-letters/{asked.letter_id}/redrive"
        with suppress(httpx.TransportError):
            answer = await http.post(url, json={"by": "chaos", "value": asked.value})
            status = answer.status_code
        outcome = "indeterminate"
        if status is None or status >= 500:
            self.unanswered[asked.letter_id] = asked
        else:
            outcome = "accepted" if status == 202 else "refused"
            self.unanswered.pop(asked.letter_id, None)
        if outcome == "accepted":
            self.accepted[asked.letter_id] = asked
        self.history.add(
            Redrive.model_validate(
                {
                    "letter_id": asked.letter_id,
                    "task_id": asked.task_id,
                    "began": began,
                    "outcome": outcome,
                    "status": status,
                }
            )
        )
