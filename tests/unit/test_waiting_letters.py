"""How many dead letters wait, as the projector's metrics say."""

from prometheus_client import CollectorRegistry

from app.adapters.memory.status_store import MemoryStatusStore
from app.entrypoints.admin.waiting_letters import WaitingLetters
from tests.contracts.dead_letters import letter
from tests.contracts.letter_store import LetterViews, redriven


async def test_the_metric_says_how_many_wait_for_each_reason() -> None:
    store, registry = MemoryStatusStore(), CollectorRegistry()
    views, waiting = LetterViews(store.letters, store), WaitingLetters(registry)

    def told(reason: str) -> float | None:
        return registry.get_sample_value("crewline_dead_letters_waiting", {"reason": reason})

    await views.hear(letter(1), letter(2))
    await waiting.look(store.letters)
    assert (told("undecodable"), told("poison")) == (2, 0)
    await views.hear(redriven(letter(1)), redriven(letter(2)))
    await waiting.look(store.letters)
    assert told("undecodable") == 0
