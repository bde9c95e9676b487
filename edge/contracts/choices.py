"""Words that a setting offers and that the room it is for understands: plain types, so that settings stand below every room."""

from typing import Literal

Durability = Literal["full", "normal"]
"""Of a journal. full: every commit is synchronised to the disk before its records can be read; normal: the system does that
when it likes, so that a power cut may take the newest ones."""
