"""All settings, in their groups."""

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.entrypoints.settings.catalog import CatalogSettings
from app.entrypoints.settings.gateway import GatewaySettings
from app.entrypoints.settings.kafka import KafkaSettings
from app.entrypoints.settings.limits import LimitsSettings
from app.entrypoints.settings.logging import LoggingSettings
from app.entrypoints.settings.projector import ProjectorSettings
from app.entrypoints.settings.store import StoreSettings
from app.entrypoints.settings.telemetry import TelemetrySettings
from app.entrypoints.settings.worker import WorkerSettings

PREFIX = "CREWLINE_"
DELIMITER = "__"


class Settings(BaseSettings):
    """Built directly, it holds what it is given and the defaults, whatever the environment says."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=DELIMITER
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    projector: ProjectorSettings = Field(default_factory=ProjectorSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave reading the environment to `load_settings`, which checks names first."""
        return (init_settings,)
