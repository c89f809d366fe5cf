"""No test can reach the network, so none can spend money."""

import asyncio
import os
import socket

import httpx
import pytest

from tests.network_guard import NetworkForbidden


def test_a_unit_test_cannot_connect_even_to_this_machine() -> None:
    with pytest.raises(NetworkForbidden):
        socket.create_connection(("127.0.0.1", 9))


def test_a_unit_test_cannot_listen() -> None:
    with socket.socket() as listener, pytest.raises(NetworkForbidden):
        listener.bind(("127.0.0.1", 0))


async def test_no_library_is_an_exception() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(NetworkForbidden):
            await client.get("http://models.invalid/")


async def test_an_event_loop_is_watched_too() -> None:
    with pytest.raises(NetworkForbidden):
        await asyncio.open_connection("127.0.0.1", 9)


def test_no_key_of_a_model_provider_is_left() -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
