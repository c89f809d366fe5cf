"""Faults of what is sent: the same again, what had been given up, or what is no task."""

from tests.chaos.field import Field
from tests.chaos.poison import DRAUGHTS


async def replay(field: Field) -> None:
    """Records sent long ago are sent once more, byte by byte."""
    async with (
        field.taking("producers"),
        field.fault("old records again", "commands", "up to 12"),
    ):
        await field.producers.replay(12)


async def poison(field: Field) -> None:
    async with field.taking("producers"):
        agent = field.chance.choice(("short", "careful"))
        draughts = field.chance.sample(DRAUGHTS, len(DRAUGHTS))
        async with field.fault("poison", agent, f"{len(draughts)} kinds"):
            await field.producers.poison(draughts, field.producers.topic_of(agent))


async def redrive(field: Field) -> None:
    """Dead letters are sent again, and some that are not what ended their task."""
    async with (
        field.taking("producers"),
        field.fault("redrive", "dead letters", "up to 10"),
    ):
        await field.redrivers.redrive(10, of_tasks=await field.producers.stray(3))


FAULTS = {"replay": replay, "poison": poison, "redrive": redrive}
