"""Every message there is, by the name it has on the wire and in the views."""

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import (
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskInputRequired,
    TaskProgressed,
    TaskRedriven,
    TaskRejected,
    TaskRetryScheduled,
    TaskStarted,
    TraceLog,
    TraceModelCall,
    TraceStep,
    TraceToken,
    TraceToolCall,
)
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.letters import LetterDiscarded, LetterRedriven
from app.domain.model.messages import Message

MESSAGES: dict[str, type[Message]] = {
    message.TYPE: message
    for message in (
        SubmitTask,
        CancelTask,
        TaskStarted,
        TaskProgressed,
        TaskRetryScheduled,
        TaskInputRequired,
        TaskCompleted,
        TaskFailed,
        TaskCanceled,
        TaskRejected,
        TaskRedriven,
        TraceStep,
        TraceModelCall,
        TraceToolCall,
        TraceToken,
        TraceLog,
        WorkerHeartbeat,
        LetterRedriven,
        LetterDiscarded,
    )
}
"""A name ends in its version; a new version is a new entry beside the old one."""
