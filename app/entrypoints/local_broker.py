"""`crewline broker`: a Kafka broker on this machine, for separate processes without Docker."""

from pathlib import Path

import structlog

from app.entrypoints.bootstrap.local_servers import alone_in, local_broker
from app.entrypoints.process import Stop, run_until_stopped
from app.entrypoints.settings import Settings

_log = structlog.get_logger(__name__)


def run(_: Settings, *, kind: str, port: int, data: Path) -> int:
    """Run the broker until Ctrl-C; Apache Kafka keeps its records in the folder."""

    async def main(stop: Stop) -> None:
        with alone_in(data):
            async with local_broker(kind, port, data):
                _log.info("broker", kind=kind, bootstrap_servers=f"127.0.0.1:{port}")
                await stop.wait()

    return run_until_stopped(main)
