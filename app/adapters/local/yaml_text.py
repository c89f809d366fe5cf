"""Reads YAML as fast as this machine can."""

import yaml
from yaml.constructor import ConstructorError

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is there, which a worker's start feels."""
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(text: str) -> object:
    """Plain data; raise `yaml.YAMLError` where the text is no YAML or has a field twice."""
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_fields_twice(root)
        content: object = loader.construct_document(root)
        return content
    finally:
        loader.dispose()


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
