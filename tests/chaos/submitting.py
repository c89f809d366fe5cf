"""People who submit over HTTP: they repeat what was not answered, and some things for no reason."""

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.history import Cancel, History, Submission
from tests.chaos.requests import Request, Requests

_PATIENCE = 30.0
"""Seconds after which somebody gives up, and does not know what became of it."""
_IMPATIENT = 0.03
_REPEATED = 0.08
_CANCELED = 0.04
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


@dataclass(slots=True)
class Submitters:
    gateways: Sequence[str]
    requests: Requests
    history: History
    chance: random.Random
    cancels: bool = False
    accepted: list[str] = field(default_factory=list)
    """Ids of accepted tasks, for those who follow them."""
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Begin `rate` submissions a second, however long each takes; return when all are over."""
        async with httpx.AsyncClient(timeout=8) as http:
            while not stop.is_set():
                self._begin(self._submit(http, self.requests.next()))
                await asyncio.sleep(self.chance.expovariate(rate))
            await asyncio.gather(*self._under_way)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _submit(self, http: httpx.AsyncClient, request: Request) -> None:
        twice = self.chance.random() < _REPEATED
        patience = 0.0 if self.chance.random() < _IMPATIENT else _PATIENCE
        first = asyncio.create_task(self._until_answered(http, request, patience))
        if twice:  # at the same time, or a while later
            await asyncio.sleep(self.chance.choice((0.0, 0.0, 2.0, 6.0)))
            await self._until_answered(http, request, _PATIENCE)
        task_id = await first
        if task_id and self.cancels and self.chance.random() < _CANCELED:
            await asyncio.sleep(self.chance.uniform(0, 2))
            await self._cancel(http, task_id)

    async def _until_answered(
        self, http: httpx.AsyncClient, request: Request, patience: float
    ) -> str | None:
        began, tries, refused = time.time(), 0, None
        while True:
            tries += 1
            try:
                answer = await http.post(
                    f"{self.chance.choice(self.gateways)}/v1/tasks",
                    json={"agent": request.agent, **request.body},
                    headers={"Idempotency-Key": request.name},
                )
            except httpx.TransportError:
                pass
            else:
                if answer.is_success:
                    task_id = str(answer.json()["id"])
                    self.accepted.append(task_id)
                    self._note(request, began, "accepted", answer.status_code, tries, task_id)
                    return task_id
                if answer.status_code not in _AGAIN:
                    refused = answer.status_code
            if refused is not None:
                # 4xx for the last try says nothing of the tries before it
                outcome = "refused" if tries == 1 else "indeterminate"
                self._note(request, began, outcome, refused, tries)
                return None
            if time.time() - began > patience:
                self._note(request, began, "indeterminate", None, tries)
                return None
            await asyncio.sleep(self.chance.uniform(0.2, 0.8))

    def _note(
        self,
        request: Request,
        began: float,
        outcome: str,
        status: int | None,
        tries: int,
        task_id: str | None = None,
    ) -> None:
        self.history.add(
            Submission.model_validate(
                {
                    "name": request.name,
                    "how": "rest",
                    "agent": request.agent,
                    "began": began,
                    "outcome": outcome,
                    "status": status,
                    "tries": tries,
                    "task_id": task_id,
                }
            )
        )

    async def _cancel(self, http: httpx.AsyncClient, task_id: str) -> None:
        began, status = time.time(), None
        try:
            answer = await http.post(
                f"{self.chance.choice(self.gateways)}/v1/tasks/{task_id}/cancel",
                json={"reason": "chaos"},
            )
            status = answer.status_code
        except httpx.TransportError:
            pass
        outcome = "indeterminate"
        if status is not None and status < 500:
            outcome = "accepted" if status == 202 else "refused"
        self.history.add(
            Cancel.model_validate(
                {"task_id": task_id, "began": began, "outcome": outcome, "status": status}
            )
        )


async def offers_cancel(gateway: str) -> bool:
    """Whether this Crewline can cancel tasks at all."""
    async with httpx.AsyncClient(timeout=8) as http:
        paths = (await http.get(f"{gateway}/openapi.json")).json()["paths"]
        return "/v1/tasks/{task_id}/cancel" in paths
