"""What spans say about the message they are for."""

from opentelemetry.util.types import AttributeValue

from app.adapters.otel import names
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import Event
from app.domain.model.messages import Message

Attributes = dict[str, AttributeValue]


def messaging(operation: str, destination: str, group: str | None = None) -> Attributes:
    """What every span around a message says; for `send` and `process` the type is the name."""
    found: Attributes = {
        names.MESSAGING_SYSTEM: names.KAFKA,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION: destination,
    }
    if group is not None:
        found[names.MESSAGING_GROUP] = group
    return found


def about(message: Message) -> Attributes:
    """Whose message it is; never what it says."""
    found: Attributes = {names.MESSAGE_TYPE: message.TYPE}
    if isinstance(message, SubmitTask):
        found[names.TASK_ID] = message.id
        found[names.AGENT] = message.agent
    elif isinstance(message, Event):
        found[names.TASK_ID] = message.task_id
        found[names.AGENT] = message.agent
        found[names.ATTEMPT] = message.attempt
    elif isinstance(message, CancelTask):
        found[names.TASK_ID] = message.task_id
    return found
