"""What this process accepted moments ago: the views may not have heard of it yet."""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

from app.domain.model.commands import SubmitTask, TaskBody, TaskRequest
from app.domain.model.ids import TaskId
from app.domain.model.messages import Timestamp

_KEPT = 10_000
"""How many are remembered; the views are behind by far fewer."""
_ASKED = {"agent", *TaskBody.model_fields}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was accepted: enough to know it again, and to build its command again."""

    digest: bytes
    submitted_at: Timestamp
    traceparent: str | None

    def request_is(self, request: TaskRequest) -> bool:
        return digest_of(request) == self.digest


class RecentRequests:
    """Requests that came with an id or a key, while they are accepted and a while after."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._pending: set[TaskId] = set()
        self._accepted: OrderedDict[TaskId, Accepted] = OrderedDict()

    def pending(self, task_id: TaskId) -> bool:
        """Whether a first request for this task is being accepted."""
        return task_id in self._pending

    def accepted(self, task_id: TaskId) -> Accepted | None:
        """The accepted request for this task, if it is recent."""
        return self._accepted.get(task_id)

    @contextmanager
    def accepting(
        self, task_id: TaskId, request: TaskRequest
    ) -> Iterator[Callable[[SubmitTask], None]]:
        """Keep others from accepting the same meanwhile; call the result with what was accepted."""

        def remember(command: SubmitTask) -> None:
            known = Accepted(digest_of(request), command.submitted_at, command.traceparent)
            self._accepted[task_id] = known
            if len(self._accepted) > self._kept:
                self._accepted.popitem(last=False)

        self._pending.add(task_id)
        try:
            yield remember
        finally:
            self._pending.discard(task_id)


def digest_of(body: TaskRequest | SubmitTask) -> bytes:
    """The same for whatever asks for the same, names in any order; the id is left out."""
    text = json.dumps(body.model_dump(mode="json", include=_ASKED), sort_keys=True)
    return blake2b(text.encode(), digest_size=16).digest()
