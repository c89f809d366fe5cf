"""Reads YAML as fast as this machine can."""

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is there, which a worker's start feels."""


def read_yaml(text: str) -> object:
    """Plain data; raise `yaml.YAMLError` where the text is no YAML."""
    content: object = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    return content
