"""Typed errors. Every message is one sentence that says what is wrong, where, and what to do next.

A command line (`entry_point.py`) turns a `LeukoError` into that sentence on standard error and exits with `exit_code`; nobody
sees a traceback for a mistake they can mend.
"""


class LeukoError(Exception):
    """Base of every error a user can cause or mend."""

    code: str = "error"
    exit_code: int = 1
    ends_at_once: bool = False
    """Once it was said, the process ends without clearing up: what it would clear up waits for something that never comes."""


class ConfigError(LeukoError):
    """A setting is unknown, missing or out of range."""

    code = "config"
    exit_code = 2


class BundleError(LeukoError):
    """A bundle is missing, damaged, of another schema, or does not fit what was asked of it."""

    code = "bundle"
    exit_code = 3


class ProfileError(LeukoError):
    """An instrument profile is missing, damaged or of another schema."""

    code = "profile"
    exit_code = 3


class SourceError(LeukoError):
    """A frame source cannot be opened or cannot go on. One bad frame is a `failed` field, not this."""

    code = "source"
    exit_code = 4


class FrameError(LeukoError):
    """One frame cannot be used (damaged file, unsupported pixels, other size). The run goes on."""

    code = "frame"
    exit_code = 4


class EngineError(LeukoError):
    """The inference engine refused to load or to run."""

    code = "engine"
    exit_code = 5


class UndecidedError(EngineError):
    """What was measured is too little to say yes or no."""

    code = "undecided"
    exit_code = 10


class StreamError(LeukoError):
    """The wire: port in use, protocol mismatch, lease held by another, peer gone."""

    code = "stream"
    exit_code = 6


class JournalError(LeukoError):
    """The journal cannot be opened, written, or does not hold what it should."""

    code = "journal"
    exit_code = 8


class DataError(LeukoError):
    """Training or calibration data that cannot be used as it stands."""

    code = "data"
    exit_code = 7


def first_line(problem: Exception) -> str:
    """What an exception says first, for a sentence that quotes it and has named the file; its type when it says nothing."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(problem).__name__


def sentence_of(problem: Exception, what: str) -> str:
    """A known error's own sentence, or one that says that `what` happened by a defect."""
    if isinstance(problem, LeukoError):
        return str(problem)
    return f"{what} ({type(problem).__name__}: {problem}); report this defect with the log of --log-level debug."
