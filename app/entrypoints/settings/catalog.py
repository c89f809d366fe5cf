"""Where agents come from."""

from pydantic import Field

from app.entrypoints.settings.group import Group, Texts


class CatalogSettings(Group):
    """Where agents come from."""

    folders: Texts = Field(
        default=[],
        description="Folders of agents' YAML files, separated by commas, added to the agents "
        "that come with Crewline; a later one replaces an earlier one of its name.",
    )
