"""Faults of what is sent: the same again, long ago, or nothing anybody could act on."""

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


FAULTS = {"replay": replay, "poison": poison}
