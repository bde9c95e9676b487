"""How every command line of the project ends on a mistake: one sentence on standard error, and an exit code that means it."""

import sys
from collections.abc import Callable

from edge.contracts.errors import LeukoError


def run_command_line(app: Callable[[], object]) -> None:
    """Run a command line; a `LeukoError` becomes its sentence and its exit code instead of a traceback."""
    try:
        app()
    except LeukoError as problem:
        print(f"error ({problem.code}): {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
