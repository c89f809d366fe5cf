"""Temporal's server on this machine: what the `temporal` program starts, or one built from Go."""

import json
import shutil
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.server import (
    LOOPBACK,
    LocalServer,
    ServerUnavailable,
    accepts,
    free_port,
)

ROLES = ("frontend", "history", "matching", "worker")


class TemporalServer(LocalServer):
    """All four roles in one process, SQLite in a file: its own development settings."""

    title: ClassVar[str] = "Temporal"

    def __init__(self, built: Path) -> None:
        super().__init__()
        self._built = built

    def _prepare(self) -> list[str]:
        if program := shutil.which("temporal"):
            address = ["--ip", LOOPBACK, "--port", str(self.port), "--headless"]
            database = ["--db-filename", str(self._home / "temporal.db"), "--log-level", "error"]
            return [program, "server", "start-dev", *address, *database]
        if not self._built.exists():
            raise ServerUnavailable(
                "there is no `temporal` on the path; with Go, `make temporal` builds its server "
                "from its module in some minutes"
            )
        settings = self._home / "temporal.json"  # which is YAML too
        settings.write_text(json.dumps(self._settings()))
        return [str(self._built), "--config-file", str(settings), "--allow-no-auth", "start"]

    def _answers(self) -> bool:
        return accepts(self.port)

    def _settings(self) -> dict[str, object]:
        """As in the server's own `development-sqlite-file.yaml`, on ports that are free."""
        store = {
            "pluginName": "sqlite",
            "databaseName": str(self._home / "temporal.db"),
            "connectAddr": "localhost",
            "connectProtocol": "tcp",
            "connectAttributes": {
                "cache": "private",
                "setup": "true",
                "journal_mode": "wal",
                "synchronous": "2",
            },
            "maxConns": 1,
            "maxIdleConns": 1,
            "maxConnLifetime": "1h",
        }
        ports = {role: free_port() for role in ROLES} | {"frontend": self.port}
        return {
            "log": {"stdout": True, "level": "error"},
            "persistence": {
                "defaultStore": "default",
                "visibilityStore": "visibility",
                "numHistoryShards": 1,
                "datastores": {"default": {"sql": store}, "visibility": {"sql": store}},
            },
            "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": LOOPBACK}},
            "services": {role: _listening(port) for role, port in ports.items()},
            "clusterMetadata": {
                "enableGlobalNamespace": False,
                "failoverVersionIncrement": 10,
                "masterClusterName": "active",
                "currentClusterName": "active",
                "clusterInformation": {
                    "active": {
                        "enabled": True,
                        "initialFailoverVersion": 1,
                        "rpcName": "frontend",
                        "rpcAddress": self.address,
                    }
                },
            },
        }


def _listening(port: int) -> dict[str, object]:
    return {"rpc": {"grpcPort": port, "membershipPort": free_port(), "bindOnLocalHost": True}}
