"""One client's session: who it is, when it was heard, what waits for it."""

from collections import deque
from dataclasses import dataclass, field

from edge.contracts.base import Wire
from edge.contracts.messages import Encoding, Reject, Role, Welcome
from edge.stream.codec import encode
from edge.stream.credit import Cursor
from edge.stream.limits import MessageBudget


@dataclass(slots=True)
class Session:
    """State between WELCOME and the loss of the client. Times are monotonic nanoseconds.

    `answers` are sent before any record; records stay in the journal until there is credit and room for them.
    """

    identity: bytes
    client_id: str
    role: Role
    encoding: Encoding
    heard_ns: int
    pinged_ns: int
    budget: MessageBudget
    cursors: dict[str, Cursor] = field(default_factory=dict)
    trigger_until: int = 0
    """the greatest credit that this client was told of"""
    answers: deque[bytes] = field(default_factory=deque)

    def answer(self, message: Wire) -> None:
        """Queue a message for this client. WELCOME and REJECT are JSON in every session, so that both are always understood."""
        self.answers.append(encode(message, "json" if isinstance(message, Welcome | Reject) else self.encoding))
