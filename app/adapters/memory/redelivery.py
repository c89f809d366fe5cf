"""A dead letter's message sent again in one process, where every message is a command."""

from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import PayloadTooLarge
from app.ports.event_log import EventLog
from app.ports.redelivery import Redelivery, Resent


class MemoryRedelivery(Redelivery):
    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def send(self, origin: Origin, resent: Resent) -> None:
        if resent.edited is None and origin.value is None:
            raise PayloadTooLarge("the message was too large to be kept")
        command = resent.edited or SubmitTask.model_validate_json(origin.value or b"")
        own = dict(origin.headers).get("traceparent", b"").decode() or None
        update = {
            "id": resent.task_id or command.id,
            "earlier": resent.earlier,
            "traceparent": own or command.traceparent or resent.traceparent,
        }
        await self._log.publish(command.model_copy(update=update))
