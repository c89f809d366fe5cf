"""A run from the first process to the evidence: fleet, load, onlookers, and the quiet after it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.collecting import collect
from tests.chaos.evidence import Evidence
from tests.chaos.fleet import Fleet
from tests.chaos.history import History, Quiet, read_history
from tests.chaos.lag import NOBODY_CAN_TELL, lag
from tests.chaos.producing import Producers
from tests.chaos.redriving import Redrivers
from tests.chaos.requests import Requests
from tests.chaos.submitting import Submitters, offers_cancel
from tests.chaos.watching import Auditor, Watcher

HISTORY = "history.jsonl"
EVIDENCE = "evidence.json"


@dataclass(frozen=True, slots=True)
class Rates:
    """How much is asked each second, over HTTP and straight on Kafka."""

    http: float = 5.0
    kafka: float = 3.0


QUIET_LOAD = Rates()


@dataclass(slots=True)
class Stage:
    fleet: Fleet
    history: History
    submitters: Submitters
    producers: Producers
    redrivers: Redrivers
    watcher: Watcher
    auditor: Auditor
    rates: Rates
    at_rest: Quiet = field(default_factory=lambda: Quiet(waited=0, lag={}))

    async def play(self, during: Awaitable[object]) -> None:
        """Keep the load up while something happens, and finish what was begun."""
        stop, load_over = asyncio.Event(), asyncio.Event()
        onlookers = self._onlookers(stop)
        load = [
            asyncio.create_task(self.submitters.run(self.rates.http, load_over)),
            asyncio.create_task(self.producers.run(self.rates.kafka, load_over)),
        ]
        try:
            await during
            load_over.set()
            await asyncio.gather(*load)
        finally:
            stop.set()
            for task in load:
                task.cancel()
            await asyncio.gather(*load, *onlookers, return_exceptions=True)
        for onlooker in onlookers:
            onlooker.result()

    async def quiet(self, patience: float) -> None:
        """Wait until the fleet has done everything, or nothing for so long; what is left is noted.

        How long it takes altogether depends on the machine, and on what was broken last.
        """
        began = moved = time.time()
        stop, left, least = asyncio.Event(), {"unknown": 1}, float("inf")
        onlookers = self._onlookers(stop)
        try:
            while left and time.time() - moved < patience:
                await asyncio.sleep(0.5)
                left = await lag(self.fleet)
                if NOBODY_CAN_TELL not in left and (behind := sum(left.values())) < least:
                    least, moved = behind, time.time()
        finally:
            stop.set()
            await asyncio.gather(*onlookers, return_exceptions=True)
        await self.watcher.sweep()
        self.fleet.gauge()
        self.at_rest = Quiet(waited=time.time() - began, lag=left)

    async def evidence(self) -> Evidence:
        """Read all there is, then stop the fleet and see what remains of it."""
        found = await collect(self.fleet, self.fleet.folder / HISTORY)
        await self.fleet.stop_all()
        left = tuple(self.fleet.leftovers())
        self.history.add(self.at_rest.model_copy(update={"left": left}))
        history = read_history(self.fleet.folder / HISTORY)
        found = found.model_copy(update={"history": history})
        (self.fleet.folder / EVIDENCE).write_text(found.model_dump_json())
        return found

    def _onlookers(self, stop: asyncio.Event) -> "list[asyncio.Task[None]]":
        accepted = (self.submitters.accepted, self.producers.accepted)
        return [
            asyncio.create_task(self.watcher.run(accepted, stop)),
            asyncio.create_task(self.auditor.run(stop)),
        ]


@asynccontextmanager
async def staged(
    fleet: Fleet, history: History, seed: int, rates: Rates = QUIET_LOAD
) -> AsyncIterator[Stage]:
    """The topics made, the fleet started and ready; it ends with the context."""
    made = await fleet.run("topics", "apply")
    if made.returncode != 0:
        raise RuntimeError(f"the topics cannot be made: {made.stderr}")
    chance = random.Random(seed)
    requests = Requests(random.Random(chance.random()), fleet.prefix)
    gateways = [fleet.url(name) for name in fleet.gateways]
    try:
        fleet.start_all()
        await fleet.ready()
        yield Stage(
            fleet,
            history,
            Submitters(
                gateways,
                requests,
                history,
                random.Random(chance.random()),
                cancels=await offers_cancel(gateways[0]),
            ),
            Producers(fleet.kafka, fleet.prefix, requests, history, random.Random(chance.random())),
            Redrivers(gateways, history, random.Random(chance.random())),
            Watcher(gateways, history, random.Random(chance.random())),
            Auditor(fleet.kafka, fleet.worker_group, fleet.prefix, history),
            rates,
        )
    finally:
        await fleet.close()
