"""Everything configurable, nothing secret by default.

`Settings()` reads nothing and holds the defaults; `load_settings()` reads the world around it.
Each group has the file of its name: `CREWLINE_WORKER__SLOTS` is in `worker.py`.
"""

from app.entrypoints.settings.agents import choose_agents
from app.entrypoints.settings.catalog import CatalogSettings
from app.entrypoints.settings.gateway import GatewaySettings
from app.entrypoints.settings.kafka import KafkaSettings
from app.entrypoints.settings.limits import LimitsSettings
from app.entrypoints.settings.loading import load_settings
from app.entrypoints.settings.logging import LoggingSettings
from app.entrypoints.settings.model import Settings
from app.entrypoints.settings.problems import SettingsError
from app.entrypoints.settings.projector import ProjectorSettings
from app.entrypoints.settings.store import StoreSettings
from app.entrypoints.settings.telemetry import TelemetrySettings
from app.entrypoints.settings.worker import WorkerSettings

__all__ = [
    "CatalogSettings",
    "GatewaySettings",
    "KafkaSettings",
    "LimitsSettings",
    "LoggingSettings",
    "ProjectorSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "TelemetrySettings",
    "WorkerSettings",
    "choose_agents",
    "load_settings",
]
