"""YAML as people mean it: a key that is given twice is a slip, not a choice of the last one.

PyYAML keeps the last of several equal keys and says nothing (yaml.org's own rule is that they are an error), so that one of two
um_per_px or two classes for one name is lost. Every YAML file of every room is read here.
"""

from collections.abc import Hashable
from typing import Any

import yaml

from edge.contracts.errors import LeukoError

MERGE = "tag:yaml.org,2002:merge"


class _Repeated(yaml.MarkedYAMLError):
    """A key that its mapping has already."""


class _EachKeyOnce(yaml.SafeLoader):
    """Looks at mappings when they are composed: later, merged keys (`<<`) are among them, which may well repeat others."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - PyYAML's own
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # no key of any of our files; what it becomes is refused as unknown
            key = key_node.tag if key_node.tag == MERGE else self.construct_object(key_node)
            line = key_node.start_mark.line + 1
            if key in lines:
                raise _Repeated(
                    problem=f"gives the key `{key_node.value}` in line {lines[key]} and again in line {line}",
                    problem_mark=key_node.start_mark,
                )
            lines[key] = line
        return node


def parse_yaml(text: str, where: str, error: type[LeukoError]) -> object:
    """The content of `text`, which is that of the file that `where` names.

    Raises `error` with one sentence where it is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(text, _EachKeyOnce)
    except _Repeated as problem:
        raise error(f"{where} {problem.problem}; strike one of the two.") from problem
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise error(f"{where} is not valid YAML{line} ({problem.problem or problem.context}); correct it.") from problem
    except yaml.YAMLError as problem:
        raise error(f"{where} is not valid YAML ({str(problem).splitlines()[0]}); correct it.") from problem
    except (ValueError, RecursionError) as problem:
        # A date that is none (2026-02-30), a number too long to be read, a nesting without end.
        raise error(f"{where} holds a value that cannot be read ({problem}); correct it, or write it in quotes.") from problem
