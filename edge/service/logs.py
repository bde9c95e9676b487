"""The log: one line per message on standard error, and in a file if asked for."""

import logging
import sys
from pathlib import Path

from edge.contracts.errors import ConfigError


def set_up_logging(level: str, file: Path | None) -> None:
    """Send this process's log where the user wants it. Raises `ConfigError` when the file cannot be written."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        try:
            handlers.append(logging.FileHandler(file, encoding="utf-8"))
        except OSError as problem:
            raise ConfigError(
                f"log file {file} cannot be written ({problem.strerror}); give a path in a folder that exists."
            ) from problem
    logging.basicConfig(
        level=level.upper(), handlers=handlers, force=True, format="%(asctime)s %(levelname)s %(threadName)s: %(message)s"
    )
