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
    max_input_characters: int = Field(
        100_000,
        ge=1,
        le=1_000_000_000,
        description="How many characters a task's text may have for an agent without an "
        "`input_schema` of its own; give gateway and workers the same.",
    )
