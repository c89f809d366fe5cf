"""What is logged, and how it looks."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_settings import NoDecode

from app.entrypoints.settings.group import Group, listed

LoggerLevel = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][\w.-]*=(?:DEBUG|INFO|WARNING|ERROR)$")
]


class LoggingSettings(Group):
    """What is logged, and how it looks."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least serious level that is written."
    )
    loggers: Annotated[list[LoggerLevel], NoDecode, BeforeValidator(listed)] = Field(
        default=[],
        description="Levels of single loggers, as in `aiokafka=DEBUG,my_agents=WARNING`. "
        "Libraries are written from `WARNING` on, also where the level above is `DEBUG`.",
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text for a terminal and JSON lines otherwise."
    )

    @property
    def levels(self) -> dict[str, str]:
        """The level of each logger in `loggers`."""
        return dict(each.split("=", 1) for each in self.loggers)
