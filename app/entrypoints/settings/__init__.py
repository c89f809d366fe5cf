"""Everything configurable, nothing secret by default.

`Settings()` reads nothing and holds the defaults; `load_settings()` reads the world around it.
"""

from app.entrypoints.settings.agents import choose_agents
from app.entrypoints.settings.groups import (
    CatalogSettings,
    GatewaySettings,
    LimitsSettings,
    LoggingSettings,
    ProjectorSettings,
    StoreSettings,
    TelemetrySettings,
    WorkerSettings,
)
from app.entrypoints.settings.kafka import KafkaSettings
from app.entrypoints.settings.loading import load_settings
from app.entrypoints.settings.model import Settings
from app.entrypoints.settings.problems import SettingsError

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
