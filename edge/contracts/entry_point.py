"""What becomes of every error of every command: one sentence, an exit code, and the traceback where it is looked for.

What it needs for a failure alone is imported then: signals are heeded from `run_command_line` on, and not before.
"""

import errno
import os
import sys
from collections.abc import Callable

from edge.contracts.errors import LeukoError, first_line
from edge.contracts.interruption import Interrupted, Interruption, exit_code_of, farewell, heeding_signals, leave_on_signals
from edge.contracts.missing_parts import NOT_INSTALLED_EXIT_CODE, not_installed
from edge.contracts.standard_streams import ReaderGone, flush_output, give_up_output, set_up_streams

SYSTEM_EXIT_CODE = 9
"""The operating system refuses something: a path, room on a disk, memory."""
_DEFECT_EXIT_CODE = 1
_INTERRUPTED_EXIT_CODE = 130
_REMEDIES = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "give a place that can be written",
    errno.ENOSPC: "free space, or give another place",
    errno.EDQUOT: "free space, or give another place",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "give the path itself, not a link",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "free memory",
}


def run_command_line(app: Callable[[], object], extra: str = "") -> None:
    """Run a command line to its end, and the process with it. Nobody sees a traceback for a mistake they can mend.

    `extra` is the part of the distribution that has what this room needs beside the edge's own.
    """
    set_up_streams()
    came = Interruption()
    try:
        with heeding_signals() as came:
            code = _code_of(app, came, extra)
            try:
                flush_output()
            except LeukoError as problem:
                code = _say(problem)
    except Interrupted:
        code = _broken_off(came)
    leave_on_signals()
    sys.exit(code)


def _code_of(app: Callable[[], object], came: Interruption, extra: str) -> int | str | None:
    code: int | str | None = 0
    try:
        from edge.contracts.user_paths import expanded_words

        sys.argv[1:] = expanded_words(sys.argv[1:])
        app()
    except SystemExit as end:
        unsaid = _unsaid(end)
        code = end.code if unsaid is None else _code_of_problem(unsaid, extra)
    except KeyboardInterrupt:
        code = _INTERRUPTED_EXIT_CODE
    except Exception as problem:  # noqa: BLE001 the one place that decides what becomes of it
        if came.number is not None:  # what a library made of it
            return _broken_off(came)
        code = _code_of_problem(problem, extra)
    return code


def _broken_off(came: Interruption) -> int:
    """A signal has ended the command where it was."""
    try:
        flush_output()
    except LeukoError:
        give_up_output()
    number = came.number or 0
    if said := farewell(number):
        print(said, file=sys.stderr)
    return exit_code_of(number)


def _unsaid(end: SystemExit) -> Exception | None:
    """What the parser of command lines ended with no sentence of its own: the end of a pipe, a socket or a file that was read
    ("Aborted.", as if a person had left a prompt), or a pipe or socket whose reader has gone."""
    causes = (end.__context__, end.__context__ and end.__context__.__cause__)
    return next((cause for cause in causes if isinstance(cause, EOFError | BrokenPipeError)), None)


def _code_of_problem(problem: Exception, extra: str) -> int:
    if isinstance(problem, LeukoError):
        return _say(problem)
    if sentence := not_installed(problem, extra):
        _debug(problem)
        return _tell("install", sentence, NOT_INSTALLED_EXIT_CODE)
    if isinstance(problem, OSError):
        where = _kept(problem, or_file=False)
        return _tell("system", f"{_refused(problem)}{where}.", SYSTEM_EXIT_CODE)
    if isinstance(problem, MemoryError):
        return _tell("system", "there is not enough memory; free some, or give less to do at a time.", SYSTEM_EXIT_CODE)
    where = _kept(problem, or_file=True)
    what = f"{type(problem).__name__}: {first_line(problem)}"
    return _tell("defect", f"this command has failed by a defect ({what}); report it{where}.", _DEFECT_EXIT_CODE)


def _say(problem: LeukoError) -> int:
    if isinstance(problem, ReaderGone):
        give_up_output()
        return problem.exit_code
    _debug(problem)
    code = _tell(problem.code, str(problem), problem.exit_code)
    if problem.ends_at_once:
        sys.stderr.flush()
        os._exit(code)
    return code


def _tell(code: str, sentence: str, exit_code: int) -> int:
    try:
        flush_output()
    except LeukoError:
        give_up_output()
    print(f"error ({code}): {sentence}", file=sys.stderr)
    return exit_code


def _refused(problem: OSError) -> str:
    """A sentence without its full stop."""
    if problem.errno == errno.ENOENT and not _has_directory():
        return "the directory in which this command was started is no longer there; change to another one"
    names = [os.fsdecode(name) for name in (problem.filename, problem.filename2) if isinstance(name, str | bytes)]
    reason = problem.strerror or first_line(problem)
    remedy = _REMEDIES.get(problem.errno or 0, "check it" if names else "look at the state of this machine")
    return f"{' and '.join(names)} cannot be used ({reason}); {remedy}" if names else f"the system refuses ({reason}); {remedy}"


def _has_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 pathlib is not loaded yet
    except OSError:
        return False
    return True


def _debug(problem: Exception) -> None:
    import logging

    logging.getLogger(__name__).debug("where it failed", exc_info=problem)


def _kept(problem: Exception, *, or_file: bool) -> str:
    """Put the traceback into the log, or without one into a file of its own; says where, as the end of a sentence."""
    import logging

    root, log = logging.getLogger(), logging.getLogger(__name__)
    files = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
    trace = (type(problem), problem, problem.__traceback__)
    for handler in files:
        handler.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, "where it failed", (), trace))
    if files:
        return f" (the traceback is in {files[0].baseFilename})"
    if root.handlers and root.isEnabledFor(logging.DEBUG):
        _debug(problem)
        return ""
    return _in_a_file(problem) if or_file else ""


def _in_a_file(problem: Exception) -> str:
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile("w", prefix="leukostream-", suffix=".log", delete=False, encoding="utf-8") as stream:
            stream.writelines(line.encode("utf-8", "backslashreplace").decode() for line in traceback.format_exception(problem))
    except OSError:
        return ""
    return f" with {stream.name}, which has the traceback"
