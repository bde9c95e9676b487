"""One client's session: who it is, what it may do, and what it is sent. Times are monotonic nanoseconds.

A session lasts from WELCOME to the loss of its client. One controller at a time has the lease and may command the edge. Each
session has a credit per run, beyond which no record goes out, and a budget of messages, so that a client that runs wild costs
the others nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from edge.contracts.base import Wire
from edge.contracts.errors import StreamError
from edge.contracts.messages import Encoding, Reject, Role, Welcome
from edge.journal.base import Journal
from edge.stream.codec import encode, from_journal

Posted = Literal["sent", "full", "gone"]
Post = Callable[[bytes, bytes], Posted]
"""Send (identity, payload) without waiting: sent, no room at the moment, or no such peer."""

Refuse = Callable[[bytes, Reject], None]
"""Send a REJECT to this identity, and count it."""

Delivered = Literal["idle", "more", "full", "gone"]
"""Nothing left to send, a batch was sent and more may follow, the peer's queue is full, the peer is gone."""


@dataclass(slots=True)
class Session:
    """State between WELCOME and the loss of the client.

    `answers` are sent before any record; records stay in the journal until there is credit and room for them.
    """

    identity: bytes
    connection: int
    """over which it was opened: another client that calls itself by the same identity comes over another one"""
    client_id: str
    role: Role
    encoding: Encoding
    heard_ns: int
    pinged_ns: int
    budget: "MessageBudget"
    cursors: "dict[str, Cursor]" = field(default_factory=dict)
    trigger_until: int = 0
    """the greatest credit that this client was told of"""
    credited_run_id: str | None = None
    """the run that it is of"""
    answers: deque[bytes] = field(default_factory=deque)
    displaced_ns: int | None = None
    """since when another client has its identity, so that nothing can be sent to it until it comes back"""

    def answer(self, message: Wire) -> None:
        """Queue a message for this client. WELCOME and REJECT are JSON in every session, so that both are always understood."""
        self.answers.append(encode(message, "json" if isinstance(message, Welcome | Reject) else self.encoding))


class Lease:
    """Who commands. The same client id supersedes itself; any other waits until the holder is gone."""

    def __init__(self) -> None:
        self.holder: Session | None = None

    def refusal(self, client_id: str) -> str | None:
        """Why this client cannot have the lease now, or None when it can."""
        if self.holder is None or self.holder.client_id == client_id:
            return None
        if self.holder.displaced_ns is not None:
            return (
                f"controller {self.holder.client_id!r} holds the lease of this edge, and client {client_id!r} has cut it off: "
                "both connect with the same ZeroMQ routing id; give each client one of its own, or none."
            )
        return (
            f"controller {self.holder.client_id!r} holds the lease of this edge; "
            "stop that controller first, or connect as an observer."
        )

    def take(self, session: Session) -> Session | None:
        """Give the lease to `session`; returns the session it supersedes, if any."""
        before, self.holder = self.holder, session
        return before

    def release(self, session: Session) -> None:
        """Give the lease back if this session holds it."""
        if self.holder is session:
            self.holder = None

    def expire(self, now_ns: int, after_ns: int) -> None:
        """Give the lease back if its holder was displaced and has not returned for so long."""
        if self.holder and self.holder.displaced_ns is not None and now_ns - self.holder.displaced_ns > after_ns:
            self.holder = None


@dataclass(slots=True)
class Cursor:
    """Where one session stands in one run. Credit is absolute: records with `next_seq <= seq < send_until_seq` may be sent."""

    run_id: str
    next_seq: int
    send_until_seq: int = 0
    upto_seq: int = -1
    """of the newest ACK"""

    @property
    def allowance(self) -> int:
        """Records that may be sent now."""
        return max(0, self.send_until_seq - self.next_seq)

    def grant(self, upto_seq: int, send_until_seq: int) -> None:
        """Take an ACK in. What the client says it holds is never sent again; the newest credit replaces the older."""
        if upto_seq < self.upto_seq:
            return  # a copy that was overtaken: its credit would take back what a newer ACK has given
        self.upto_seq = upto_seq
        self.next_seq = max(self.next_seq, upto_seq + 1)
        self.send_until_seq = send_until_seq


@dataclass(slots=True)
class MessageBudget:
    """So many messages a second on average, and at most two seconds' worth at once."""

    per_s: float
    at_ns: int
    left: float = 0.0
    told_ns: int | None = None

    def __post_init__(self) -> None:
        self.left = 2 * self.per_s

    def take(self, now_ns: int) -> bool:
        """Whether one more message is within the budget."""
        self.left = min(2 * self.per_s, self.left + self.per_s * (now_ns - self.at_ns) / 1e9)
        self.at_ns = now_ns
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def may_tell(self, now_ns: int) -> bool:
        """Whether to tell the sender: once a second, so that the refusals are no flood themselves."""
        if self.told_ns is not None and now_ns - self.told_ns < 1e9:
            return False
        self.told_ns = now_ns
        return True


def deliver(session: Session, journal: Journal, post: Post, refuse: Refuse, batch_records: int) -> Delivered:
    """One turn of one session. A record leaves its place in the order only once ZeroMQ has taken it."""
    while session.answers:
        posted = post(session.identity, session.answers[0])
        if posted != "sent":
            return posted
        session.answers.popleft()
    outcome: Delivered = "idle"
    for cursor in list(session.cursors.values()):
        if journal.finished(cursor.run_id) and cursor.upto_seq + 1 == journal.next_seq(cursor.run_id):
            del session.cursors[cursor.run_id]  # a session may outlive many runs
            continue
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
        refuse(
            session.identity,
            Reject(
                code="unknown_run",
                reason=str(problem),
                run_id=cursor.run_id,
                first_seq=journal.first_seq(cursor.run_id),
                next_seq=journal.next_seq(cursor.run_id),
            ),
        )
        return "more"
    for seq, record_json in records:
        posted = post(session.identity, from_journal(record_json, session.encoding))
        if posted != "sent":
            return posted
        cursor.next_seq = seq + 1
    return "more" if records and len(records) == limit and cursor.allowance else "idle"
