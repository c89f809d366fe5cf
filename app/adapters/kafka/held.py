"""What is held before its first run, and when it is looked at again.

None of it has been started, so none counts as interrupted when its worker dies.
"""

import asyncio
from collections.abc import Callable

from app.adapters.kafka.claims import Claim, Hold

_LOOK_AGAIN = 60.0
"""Seconds after which what is held is looked at again: clocks are set, and machines sleep."""


class Held:
    def __init__(
        self, hold: Hold, crowded_by: Callable[[Claim], bool], let_go: Callable[[Claim], None]
    ) -> None:
        """`let_go` is given each claim that `hold` holds no longer."""
        self._hold = hold
        self._crowded_by = crowded_by
        self._let_go = let_go
        self._looks: dict[bytes | None, dict[Claim, asyncio.TimerHandle]] = {}
        """By key, when each will be looked at again."""
        self._stopped = False

    def look_at(self, claim: Claim) -> None:
        """Let a claim go, or look at it again when it may be time for that."""
        key = claim.record.key
        if looks := self._looks.get(key):
            looks.pop(claim, None)
            if not looks:
                del self._looks[key]
        if claim.lost.is_set() or self._stopped:
            return
        if (seconds := self._hold(claim, self._crowded_by(claim))) > 0:
            wait = min(seconds, _LOOK_AGAIN)
            timer = asyncio.get_running_loop().call_later(wait, self.look_at, claim)
            self._looks.setdefault(key, {})[claim] = timer
            return
        self._let_go(claim)

    def hurry(self, key: bytes) -> None:
        """Look now at what is held under this key."""
        for claim, timer in list(self._looks.pop(key, {}).items()):
            timer.cancel()
            self.look_at(claim)

    def stop(self) -> None:
        """Let nothing go any more."""
        self._stopped = True
