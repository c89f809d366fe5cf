"""What is logged, and how it looks."""

from typing import Literal

from pydantic import Field

from app.entrypoints.settings.group import Group


class LoggingSettings(Group):
    """What is logged, and how it looks."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least serious level that is written."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text for a terminal and JSON lines otherwise."
    )
