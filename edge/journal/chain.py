"""The hash chain of a run: a changed, missing or moved record breaks every link after it.

The link of a record is SHA-256 over the link before it and the record's JSON bytes as they are journalled; the first one
starts from SHA-256 of the run's id. Who rewrites the whole chain is not found out, unless somebody has kept its last link.
"""

import hashlib
from collections.abc import Iterable


def first_link(run_id: str) -> bytes:
    """Where the chain of a run begins, 32 bytes."""
    return hashlib.sha256(run_id.encode()).digest()


def next_link(link: bytes, content: bytes) -> bytes:
    """The link of a record after `link`, 32 bytes."""
    return hashlib.sha256(link + content).digest()


def broken_at(run_id: str, records: Iterable[tuple[int, bytes, bytes]]) -> str:
    """What is wrong with (seq, content, link) of a whole run, in order of seq, in one sentence part; empty when nothing is."""
    expected, link = 0, first_link(run_id)
    for seq, content, kept in records:
        if seq != expected:
            return f"records {expected} to {seq - 1} are missing"
        link = next_link(link, content)
        if link != kept:
            return f"record {seq} is not what was written"
        expected += 1
    return "" if expected else "it has no record"
