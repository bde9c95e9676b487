"""Every code of an `event` that the edge can write, read from its own files."""

import ast
import importlib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def codes_in_the_code() -> set[str]:
    """Every word that is given to a SourceNote as its code, as a literal or as a constant of the module."""
    found = set()
    for path in (ROOT / "edge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SourceNote":
                codes = {str(each.value) for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)}
                if isinstance(node.args[0], ast.Name):
                    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                    codes.add(getattr(importlib.import_module(module), node.args[0].id))
                assert codes, f"{path}:{node.lineno}: its code is neither a literal nor a constant: nobody could list it"
                found |= codes
    return found
