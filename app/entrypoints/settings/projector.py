"""Who a projector is, and where it answers probes."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.entrypoints.settings.group import Group, Name, Port


class ProjectorSettings(Group):
    """The projector, which keeps the views."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=249)] | None = Field(
        None,
        description="The projector's identity, which no two may share; by default the host's name "
        "and an ordinal that is claimed for the life of the process.",
    )
    runtime_folder: str | None = Field(
        None,
        description="Folder where ordinals are claimed, the same for all projectors of a machine; "
        "by default `crewline` in the folder for temporary files.",
    )
    group: Name = Field(
        "crewline.projector",
        description="Consumer group that shares the log; it "
        "begins with the prefix of the topics unless it is set.",
    )
    admin_host: str = Field(
        "127.0.0.1", description="Address of the admin port; `0.0.0.0` for every one."
    )
    admin_port: Port | None = Field(
        None, description="Port for `/livez`, `/readyz` and `/metrics`; unset serves none."
    )
