"""`leuko-edge` in the test's own process: what takes an instant need not start an interpreter."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from edge.cli import main


class Said(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def leuko_edge(*words: str) -> Said:
    """Run a command line to its end. Signals are not for this: they would be the test's."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code = 0
    with patch.object(sys, "argv", ["leuko-edge", *words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
