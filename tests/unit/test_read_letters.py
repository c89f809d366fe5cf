"""One process settles a letter once at a time."""

import asyncio

from app.domain.model.ids import LetterId
from app.domain.use_cases.read_letters import RecentSettlements


async def test_nobody_settles_a_letter_beside_another() -> None:
    recent, letter_id = RecentSettlements(), LetterId("letter")
    inside: set[int] = set()

    async def settle(number: int) -> None:
        async with recent.alone(letter_id):
            inside.add(number)
            assert inside == {number}
            for _ in range(5):
                await asyncio.sleep(0)
            inside.remove(number)

    async with asyncio.TaskGroup() as group:
        for number in range(12):  # some come while others wait, some when one has just left
            group.create_task(settle(number))
            await asyncio.sleep(0)
