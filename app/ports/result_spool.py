"""Keeps results that are larger than the log takes, for whoever comes to fetch them."""

from abc import abstractmethod
from typing import Protocol

from app.domain.model.ids import TaskId


class ResultSpool(Protocol):
    @abstractmethod
    async def keep(self, task_id: TaskId, attempt: int, result: bytes) -> str | None:
        """Where the result of a run lies now, as JSON; None where there is no room for it.

        It never raises: the task has failed already, and is to be told so.
        """
