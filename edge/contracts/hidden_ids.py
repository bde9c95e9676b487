"""Slide and sample ids in text that may leave the laboratory: a word stands for each that says no more than that it was one.

An id that is part of a longer word (a file's name, a path, another id) is found, too; upper and lower case are one. Ids of less
than three characters are left where they stand in a sentence: they name nobody, and every field number would look like one.
"""

import re
from collections.abc import Mapping

_SHORTEST = 3
_WHOLE_WORDS = 5
"""Up to so many characters an id must stand alone: a longer one does not come about by chance."""


class HiddenIds:
    """`words` says what stands for each id."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = dict(words)
        known = {each.casefold(): word for each, word in words.items() if len(each.strip()) >= _SHORTEST}
        self._known = known
        longest_first = sorted(known, key=len, reverse=True)
        self._pattern = re.compile("|".join(_pattern(each) for each in longest_first), re.IGNORECASE) if known else None

    def in_text(self, text: str) -> str:
        """`text` without them."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._known.get(found[0].casefold(), "(an id)"), text)

    def in_document(self, value: object) -> object:
        """The same of every text in what JSON can hold; keys stay, for they are ours."""
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, Mapping):
            return {key: self.in_document(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_document(each) for each in value]
        return value


def _pattern(name: str) -> str:
    escaped = re.escape(name)
    return rf"(?<![^\W_]){escaped}(?![^\W_])" if len(name) <= _WHOLE_WORDS else escaped
