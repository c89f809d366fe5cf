"""The memory store keeps what every store of views promises."""

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from tests.contracts.status_store import StatusStoreContract
from tests.contracts.view_store import ViewStoreContract
from tests.contracts.views import Views


class TestMemoryStatusStore(StatusStoreContract, ViewStoreContract):
    @pytest.fixture
    def views(self) -> Views:
        store = MemoryStatusStore()
        return Views(store, store)
