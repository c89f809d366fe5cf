"""Tasks that wait where nobody reads are spoken of, once."""

import pytest

from app.domain.model.fleet import Share
from app.domain.model.ids import AgentName
from app.domain.use_cases.fleet import Fleet
from app.domain.use_cases.unread_topics import UnreadTopics
from app.ports.backlogs import Backlogs, Depth
from app.ports.fleet import Heard
from tests.builders import at, heartbeat


class Waiting(Backlogs):
    def __init__(self) -> None:
        self.tasks: dict[str, int] = {}

    async def look(self) -> dict[AgentName, Depth]:
        return {}

    def topics(self) -> dict[str, int]:
        return self.tasks


async def test_a_topic_that_no_live_worker_reads_is_named_once_with_what_waits_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    fleet, waiting = Fleet(lambda: 0.0, lambda: at(0)), Waiting()
    share = Share(topic="crewline.commands.writer", partitions=(0,), lag=1)
    word = heartbeat("w-1").model_copy(update={"topics": (share,)})
    await fleet.hear(Heard(word, live=True))
    unread = UnreadTopics(waiting, fleet)
    waiting.tasks = {"crewline.commands.writer": 4, "crewline.commands.A.b": 0}
    for _ in range(5):
        unread.look()
    assert caplog.messages == []
    waiting.tasks["crewline.commands.A.b"] = 7
    for _ in range(5):
        unread.look()
    (said,) = caplog.messages
    assert "no live worker reads crewline.commands.A.b, where 7 tasks wait" in said
    waiting.tasks["crewline.commands.A.b"] = 0
    unread.look()
    assert caplog.messages[1:] == ["crewline.commands.A.b is read, or empty, again"]
