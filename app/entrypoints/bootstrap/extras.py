"""What a setting needs and only an extra of the distribution brings."""

from importlib.util import find_spec

from app.entrypoints.settings import Settings, SettingsError


def check_store_driver(settings: Settings) -> None:
    """Raise `SettingsError` if the views are in a database whose driver is not installed."""
    if settings.store.url.get_secret_value().startswith("postgresql"):
        _check("asyncpg", "CREWLINE_STORE__URL", "postgres")


def check_redis(settings: Settings) -> None:
    """Raise `SettingsError` if there is a Redis to use, and nothing that speaks its protocol."""
    if settings.limits.redis_url is not None:
        _check("redis", "CREWLINE_LIMITS__REDIS_URL", "redis")


def _check(package: str, setting: str, extra: str) -> None:
    if find_spec(package) is None:
        raise SettingsError([f"{setting} needs {how_to_get(extra)}"])


def how_to_get(extra: str) -> str:
    """An extra, and the way to it: the name `crewline` on PyPI is not ours."""
    return f"the extra `{extra}`: in Crewline's repository, pip install '.[{extra}]'"
