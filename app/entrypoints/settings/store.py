"""Where the views are kept."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from app.entrypoints.settings.group import Group

_DATABASES = ("sqlite", "postgresql")


def _known_database(url: SecretStr) -> SecretStr:
    """A driver may be named, as other tools want it (`postgresql+asyncpg://`); ours is used."""
    scheme, _, rest = url.get_secret_value().partition("://")
    database = scheme.partition("+")[0]
    if database not in _DATABASES:
        raise ValueError("must begin with sqlite:/// or postgresql://")
    if database == "sqlite" and (not rest.startswith("/") or rest in {"/", "/:memory:"}):
        raise ValueError("must name a file: sqlite:///path")
    return url


class StoreSettings(Group):
    """Where the views are kept."""

    url: Annotated[SecretStr, AfterValidator(_known_database)] = Field(
        SecretStr("sqlite:///.crewline/views.db"),
        description="`sqlite:///path` or `postgresql://user:password@host/database`.",
    )
