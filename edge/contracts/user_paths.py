"""Paths as people write them: `~` is the home directory, wherever a path comes from."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from edge.contracts.errors import ConfigError


def expanded_text(text: str) -> str:
    """`text`, its `~` or `~name` expanded if it begins with one. Raises `ConfigError` for a user without a home directory."""
    if not text.startswith("~"):
        return text
    found = os.path.expanduser(text)  # noqa: PTH111 Path.expanduser also refuses a file that is named ~something
    if found == text and (text == "~" or text.startswith("~/")):
        raise ConfigError(f"{text!r} names no place, because this user has no home directory; write the whole path.")
    return found


def expanded(path: Path) -> Path:
    """The same of a path."""
    return Path(expanded_text(str(path)))


UserPath = Annotated[Path, AfterValidator(expanded)]
UserPathText = Annotated[str, AfterValidator(expanded_text)]
"""Of a file in which a path is a string."""


def expanded_words(words: list[str]) -> list[str]:
    """A command line with the `~` expanded that a shell leaves: in `--out=~/x`, and where there was no shell.

    Raises `ConfigError` for an empty word: as a path it would be the current folder.
    """
    for before, word in pairwise(["", *words]):
        option, equals, value = word.partition("=")
        if not word or (option.startswith("--") and equals and not value):
            what = option or (before if before.startswith("--") else f"argument {words.index(word) + 1}")
            raise ConfigError(f"{what} is empty, as from a variable of the shell that is not set; give it, or leave it out.")
    return [_expanded_word(word) for word in words]


def _expanded_word(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and option.startswith("--"):
        return f"{option}={_home(value)}"
    return _home(word)


def _home(word: str) -> str:
    """Not `~name` alone, which may be a slide's."""
    return expanded_text(word) if word == "~" or (word.startswith("~") and "/" in word) else word
