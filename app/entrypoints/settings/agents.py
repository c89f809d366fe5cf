"""Which agents a worker was asked to run, among those there are."""

from collections.abc import Iterable, Sequence

from app.entrypoints.settings.problems import SettingsError, closest


def choose_agents(asked: Sequence[str], known: Iterable[str]) -> list[str]:
    """The known agents that were asked for; all of them when none was.

    `-` and `_` are the same, as people write one for the other. Raises `SettingsError` with one
    line for each agent that does not exist.
    """
    names = sorted(known)
    if not asked:
        return names
    by_key = {_key(name): name for name in names}
    wrong = [name for name in asked if _key(name) not in by_key]
    if wrong:
        raise SettingsError(_unknown(name, names) for name in wrong)
    return list(dict.fromkeys(by_key[_key(name)] for name in asked))


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _unknown(name: str, names: list[str]) -> str:
    near = closest(name.lower(), names)
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"CREWLINE_WORKER__AGENTS: no agent is called {name!r}; {hint}"
