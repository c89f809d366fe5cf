"""Whether the views have read all that the log tells of tasks: what they lack may exist or not."""

import asyncio
from dataclasses import dataclass, field

from app.domain.model.errors import Unavailable
from app.domain.use_cases.shared_look import SharedLook
from app.ports.event_log import LogEnds, Offsets, StoredOffsets

_LOOK_AGAIN = 0.05


class ViewsBehind(Unavailable):
    """The views have not read all of the log yet: the task may have been accepted."""

    code = "views-behind"


@dataclass(frozen=True, slots=True)
class ViewsLag:
    log: LogEnds
    views: StoredOffsets
    _ends: SharedLook[Offsets] = field(init=False)
    _offsets: SharedLook[Offsets] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", SharedLook(self.log.ends))
        object.__setattr__(self, "_offsets", SharedLook(self.views.offsets))

    async def ends(self) -> Offsets:
        """Where the log ends now, for `have_read`. Raises `LogUnavailable`."""
        return await self._ends()

    async def have_read(self, ends: Offsets) -> bool:
        """Whether the views have read up to there; not if the log was lost and began anew since."""
        offsets = await self._offsets()
        if any(offsets.get(shard, 0) < end for shard, end in ends.items()):
            return False
        ahead = [shard for shard, end in ends.items() if offsets.get(shard, 0) > end]
        if not ahead:
            return True
        now = await self._ends()
        return all(offsets.get(shard, 0) <= now.get(shard, 0) for shard in ahead)

    async def has_caught_up(self, seconds: float) -> bool:
        """Whether the views have read what stands in the log now, within so many seconds."""
        ends = await self.ends()
        give_up = asyncio.get_running_loop().time() + seconds
        while not await self.have_read(ends):
            if asyncio.get_running_loop().time() >= give_up:
                return False
            await asyncio.sleep(_LOOK_AGAIN)
        return True
