"""Keeps clients going where their library gives up in silence.

A request that was given up while its connection had gone already, as after a machine has slept,
raises a `KeyError` that aiokafka expects nowhere: of a consumer it ends the task that fetches, and
nobody is told. The consumer stays in its group, keeps its partitions, and reads nothing any more.
"""

import asyncio
import logging
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError, RequestTimedOutError

_PAUSE = 0.1
_log = logging.getLogger(__name__)
_library_send = AIOKafkaClient.send


def outlive_lost_connections() -> None:
    """Have every client of this process do so; twice does no harm."""
    AIOKafkaClient.send = _send
    consumer.Fetcher = _Fetcher


async def _send(self: AIOKafkaClient, *args: Any, **options: Any) -> Any:
    try:
        return await _library_send(self, *args, **options)
    except KeyError as error:
        raise RequestTimedOutError from error


class _Fetcher(Fetcher):  # type: ignore[misc]  # aiokafka is untyped
    _pending_tasks: set[asyncio.Task[bool]]

    async def _fetch_requests_routine(self) -> None:
        while True:
            try:
                return await super()._fetch_requests_routine()  # type: ignore[no-any-return]
            except KafkaError as error:
                _log.warning("fetching failed, trying again: %r", error.__cause__ or error)
                self._pending_tasks = {each for each in self._pending_tasks if not each.done()}
                await asyncio.sleep(_PAUSE)
