"""Prints what TensorRT bindings offer, as JSON, without TensorRT: `python bindings_surface.py MODULE` with stubs to load.

Per class and member: `value`, `property`, or the text in which pybind11 notes a method's parameters.
"""

import importlib
import json
import sys
from types import ModuleType


def surface(module: ModuleType) -> dict[str, dict[str, str] | None]:
    """Classes with their members; None for other names."""
    found: dict[str, dict[str, str] | None] = {}
    for name in dir(module):
        thing = getattr(module, name)
        found[name] = {member: _kind(getattr(thing, member)) for member in dir(thing)} if isinstance(thing, type) else None
    return found


def _kind(member: object) -> str:
    if isinstance(member, property):
        return "property"
    return str(member.__doc__) if callable(member) else "value"


if __name__ == "__main__":
    print(json.dumps(surface(importlib.import_module(sys.argv[1]))))
