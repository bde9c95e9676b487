"""Standard output and error of a command: on a full disk, in a closed pipe, in a locale that lacks letters.

What a command prints is its result: when that cannot be written, the command has failed. What it says on standard error is for
whoever listens, and nobody need listen.
"""

import codecs
import io
import os
import sys

from edge.contracts.errors import LeukoError

_ESCAPES = "leukostream-escapes"


class OutputError(LeukoError):
    """Standard output cannot be written."""

    code = "output"
    exit_code = 9


class ReaderGone(LeukoError):
    """Nobody reads standard output any more, as after `| head`. Said by the exit code alone, which is that of SIGPIPE."""

    code = "output"
    exit_code = 141


class _Output(io.FileIO):
    """Raises at once what `print` would leave for the end of the interpreter, when nobody can act on it."""

    def write(self, data: bytes) -> int:  # type: ignore[override] # of the buffer protocol, like its parent
        try:
            return super().write(data)
        except BrokenPipeError as problem:
            raise ReaderGone("whoever read standard output has gone.") from problem
        except OSError as problem:
            raise OutputError(
                f"standard output cannot be written ({problem.strerror}), and what is there of it is not whole; free space, "
                "or send it elsewhere."
            ) from problem


class _Remarks(io.FileIO):
    """Goes on when nobody listens: a terminal that was closed must end neither a run nor a training."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError:
            return len(data)


def set_up_streams() -> None:
    """Make both of this process so. Those that a test or a caller has put in their place stay as they are."""
    codecs.register_error(_ESCAPES, _escaped)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _stream(_Output, 1, os.O_RDONLY, sys.stdout)  # one that was closed refuses what is written
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _stream(_Remarks, 2, os.O_WRONLY, sys.stderr)


def flush_output() -> None:
    """Write what `print` has kept. Raises `OutputError` or `ReaderGone`."""
    sys.stdout.flush()


def give_up_output() -> None:
    """What could not be written goes nowhere, so that the interpreter does not try again as it ends."""
    if isinstance(getattr(sys.stdout, "buffer", None), io.BufferedWriter):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _stream(kind: type[io.FileIO], number: int, without: int, before: io.TextIOWrapper | None) -> io.TextIOWrapper:
    if before is None:
        _occupy(number, without)
    else:
        before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    line_buffering = number == 2 or os.isatty(number)
    buffered = io.BufferedWriter(kind(number, "w", closefd=False))
    return io.TextIOWrapper(
        buffered, encoding, _ESCAPES, line_buffering=line_buffering, write_through=bool(getattr(before, "write_through", False))
    )


def _occupy(number: int, how: int) -> None:
    """Open a descriptor that was closed, before a file of the program gets its number and what is printed."""
    opened = os.open(os.devnull, how)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _escaped(problem: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, as JSON writes it: text stays readable and JSON stays JSON."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    units = problem.object[problem.start : problem.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), problem.end
