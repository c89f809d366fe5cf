"""Which records go before others: what their bodies say, found without reading most of them."""

from collections.abc import Callable
from functools import lru_cache

from app.adapters.kafka.claims import Precedence, Record
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.priorities import Priority

_NAME = b'"priority"'
_NORMAL = b'"priority":"normal"'
"""As our own producers write it."""


def precedence_of(topics: Topics, codec: Codec) -> Precedence:
    """The precedence of tasks by their priority."""
    urgent = lru_cache(maxsize=10_000)(topics.is_urgent)
    return Precedence(
        ranks=len(Priority),
        urgent_ranks=sum(priority.urgent for priority in Priority),
        rank=_ranker(urgent, codec),
        urgent=urgent,
    )


def _ranker(urgent: Callable[[str], bool], codec: Codec) -> Callable[[Record], int]:
    normal = Priority.NORMAL.rank

    def rank(record: Record) -> int:
        value = record.value or b""
        # a name in the input may look like it: where one says anything else, all of it is read
        if value.count(_NAME) == value.count(_NORMAL) and not urgent(record.topic):
            return normal
        content = codec.command(record)
        return content.priority.rank if isinstance(content, SubmitTask) else normal

    return rank
