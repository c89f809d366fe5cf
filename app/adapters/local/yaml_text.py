"""Reads YAML as fast as this machine can."""

import re

import yaml
from yaml.constructor import ConstructorError

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is there, which a worker's start feels."""
_MOST = 100_000
"""Values that aliases may make of a text; a few lines can stand for more than any memory holds."""
_DEEPEST = 500
_BRACKET = re.compile(r"[][{}]")
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(text: str) -> object:
    """Plain data; raise `yaml.YAMLError` where the text is no YAML or has a field twice.

    Raises `RecursionError` where it is nested too deep.
    """
    _refuse_depth(text)
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_fields_twice(root)
        _refuse_multiplied(root)
        content: object = loader.construct_document(root)
        return content
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    """The library ends the process where brackets go too deep; signs in prose come in pairs."""
    depth = 0
    for sign in _BRACKET.finditer(text):
        depth += 1 if sign[0] in "[{" else -1
        if depth > _DEEPEST:
            raise RecursionError("brackets are nested too deep")


def _refuse_fields_twice(root: yaml.Node) -> None:
    """YAML 1.2 forbids them; the library takes the last one."""
    nodes, looked_at = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in looked_at:
            continue  # an alias stands for it too
        looked_at.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            for key, value in node.value:
                nodes += (key, value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                    continue
                if (key.tag, key.value) in seen:
                    problem = f"{key.value!r} stands here twice"
                    raise ConstructorError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))


def _refuse_multiplied(root: yaml.Node) -> None:
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        """How many values it stands for, with what its aliases repeat."""
        if isinstance(node, yaml.ScalarNode):
            counts[id(node)] = 1
            return 1
        known = counts.get(id(node))
        if known is None:
            counts[id(node)] = _MOST + 1  # for one that stands within itself
            pairs = isinstance(node, yaml.MappingNode)
            parts = [part for pair in node.value for part in pair] if pairs else node.value
            known = counts[id(node)] = 1 + sum(map(count, parts))
        return known

    if count(root) > max(_MOST, 2 * len(counts)):
        problem = f"its aliases make over {_MOST:,} values of it"
        raise ConstructorError(problem=problem, problem_mark=root.start_mark)
