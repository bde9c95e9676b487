"""Sends what one session may have: answers first, then records in order of seq as far as its credit reaches."""

from collections.abc import Callable
from typing import Literal

from edge.contracts.errors import StreamError
from edge.contracts.messages import RejectCode
from edge.journal.base import Journal
from edge.stream.codec import from_journal
from edge.stream.credit import Cursor
from edge.stream.exchange import Post
from edge.stream.sessions import Session

Refuse = Callable[[bytes, RejectCode, str], None]
"""Send (identity, code, reason) as a REJECT, and count it."""

Delivered = Literal["idle", "more", "full", "gone"]
"""Nothing left to send, a batch was sent and more may follow, the peer's queue is full, the peer is gone."""


def deliver(session: Session, journal: Journal, post: Post, refuse: Refuse, batch_records: int) -> Delivered:
    """One turn of one session. A record leaves its place in the order only once ZeroMQ has taken it."""
    while session.answers:
        posted = post(session.identity, session.answers[0])
        if posted != "sent":
            return posted
        session.answers.popleft()
    outcome: Delivered = "idle"
    for cursor in list(session.cursors.values()):
        turn = _deliver_run(session, cursor, journal, post, refuse, batch_records)
        if turn in {"full", "gone"}:
            return turn
        outcome = "more" if turn == "more" else outcome
    return outcome


def _deliver_run(
    session: Session, cursor: Cursor, journal: Journal, post: Post, refuse: Refuse, batch_records: int
) -> Delivered:
    limit = min(cursor.allowance, batch_records)
    try:
        records = journal.read(cursor.run_id, cursor.next_seq, limit) if limit else []
    except StreamError as problem:  # acknowledged and no longer held: an observer came too late, or asks twice
        del session.cursors[cursor.run_id]
        refuse(session.identity, "unknown_run", str(problem))
        return "more"
    for seq, record_json in records:
        posted = post(session.identity, from_journal(record_json, session.encoding))
        if posted != "sent":
            return posted
        cursor.next_seq = seq + 1
    return "more" if records and len(records) == limit and cursor.allowance else "idle"
