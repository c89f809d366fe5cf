"""Reads YAML as fast as this machine can."""

import yaml
from yaml.constructor import ConstructorError

_Safe: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is there, which a worker's start feels."""


class _Loader(_Safe):  # type: ignore[misc, valid-type]  # it is chosen when this is run
    """As YAML 1.2 has it: a field that is written twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            if key.value in seen:
                problem = f"{key.value!r} stands here twice"
                raise ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(text: str) -> object:
    """Plain data; raise `yaml.YAMLError` where the text is no YAML or has a field twice."""
    content: object = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    return content
