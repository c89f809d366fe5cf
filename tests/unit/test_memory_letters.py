"""The letters in memory keep what every store of letters promises."""

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from tests.contracts.letter_store import LetterStoreContract, LetterViews


class TestMemoryLetterStore(LetterStoreContract):
    @pytest.fixture
    def views(self) -> LetterViews:
        store = MemoryStatusStore()
        return LetterViews(store.letters, store)
