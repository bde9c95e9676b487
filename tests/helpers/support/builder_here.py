"""`leuko-build` in this process, for tests that hold what it said against what it wrote."""

import contextlib
import io
import sys

import pytest

from builder.cli import main


class Called:
    """How one call ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def leuko_build(*arguments: object) -> Called:
    """Call the command with these words."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["leuko-build", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    assert isinstance(ended.value.code, int)
    return Called(ended.value.code, out.getvalue(), err.getvalue())
