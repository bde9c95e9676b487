"""Loads a TensorRT runtime, and keeps what it last said for the error that may follow."""

import importlib
import importlib.util
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

from edge.contracts.engine_files import RUNTIME_NAMES, GpuRuntime
from edge.contracts.errors import EngineError, first_line
from edge.engine.trt.runtime_api import EngineModule

_Thing = TypeVar("_Thing")
_log = logging.getLogger(__name__)
_KEPT = 3
_LEVELS = {
    "INTERNAL_ERROR": logging.WARNING,
    "ERROR": logging.WARNING,
    "WARNING": logging.WARNING,
    "INFO": logging.DEBUG,
    "VERBOSE": logging.NOTSET,
}
"""TensorRT's severities to those of the log. Most of its errors become exceptions besides; what it calls info is a diary; its
verbose output is never kept."""


def load_runtime(runtime: GpuRuntime) -> EngineModule:
    """Import `tensorrt` or `tensorrt_rtx`. Raises `EngineError` when it is not installed or cannot be loaded."""
    name = RUNTIME_NAMES[runtime]
    try:
        module = importlib.import_module(runtime)
    except ImportError as problem:
        raise EngineError(f"{name} cannot be loaded ({first_line(problem)}); see docs/install-gpu.md.") from problem
    if not hasattr(module, "Runtime") or not hasattr(module, "__version__"):
        # A package of type stubs leaves an empty name space of the same name behind.
        raise EngineError(f"the module {runtime} that is installed is not {name}; install it as docs/install-gpu.md says.")
    return cast(EngineModule, module)


def is_installed(runtime: GpuRuntime) -> bool:
    """Whether there is something to import; it may still fail to load."""
    return importlib.util.find_spec(runtime) is not None


def release_of(version: str) -> tuple[int, ...]:
    """Version as numbers, so that 10.13 is newer than 10.3; a packaging suffix as `.post1` does not count.

    Raises ValueError when it does not begin with a number.
    """
    found = re.match(r"\d+(\.\d+)*", version)
    if not found:
        raise ValueError(f"{version!r} is no version")
    return tuple(int(part) for part in found.group().split("."))


class Messages:
    """What a runtime said: into the log at once, and its last errors for the sentence of an exception.

    `logger` must live as long as anything that was made with it.
    """

    def __init__(self, module: EngineModule) -> None:
        base = module.ILogger

        def log(_: object, severity: object, text: str) -> None:
            self._hear(str(severity).rsplit(".", 1)[-1], text)

        # TensorRT calls back into an instance whose base was initialised explicitly, and ends the process otherwise.
        kind = type("Logger", (base,), {"__init__": base.__init__, "log": log})
        self.logger: object = kind()
        self._errors: deque[str] = deque(maxlen=_KEPT)

    def _hear(self, severity: str, text: str) -> None:
        if severity in {"INTERNAL_ERROR", "ERROR"}:
            self._errors.append(" ".join(text.split()))
        if level := _LEVELS.get(severity, logging.WARNING):
            _log.log(level, "%s", text)

    def made(self, make: Callable[[], _Thing | None], what: str, then: str) -> _Thing:
        """What TensorRT makes. Raises `failure(what, then)` for None, and for the TypeError of a constructor without object."""
        try:
            thing = make()
        except TypeError as problem:
            raise self.failure(what, then) from problem
        if thing is None:
            raise self.failure(what, then)
        return thing

    def failure(self, what: str, then: str) -> EngineError:
        """The error for a None or False that TensorRT returned: what failed, TensorRT's own last words, what to do."""
        said = "; ".join(self._errors) or "it gave no reason"
        self._errors.clear()
        return EngineError(f"{what} ({said}); {then}")
