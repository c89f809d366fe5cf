"""Reads what the rules know from the YAML files that are shipped with them."""

from importlib.resources import files

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is there; knowledge is read once, at a worker's first task."""


def read_knowledge(name: str) -> object:
    """One file of `catalog/knowledge`, as plain data."""
    text = (files("app") / "catalog" / "knowledge" / name).read_text(encoding="utf-8")
    loaded: object = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    return loaded


def knowledge_names(folder: str) -> tuple[str, ...]:
    """The files of one folder of `catalog/knowledge`, in order."""
    found = (files("app") / "catalog" / "knowledge" / folder).iterdir()
    return tuple(sorted(f"{folder}/{file.name}" for file in found if file.name.endswith(".yaml")))
