"""Absolute credit: how far the edge may send one run to one session."""

from dataclasses import dataclass


@dataclass(slots=True)
class Cursor:
    """Where one session stands in one run. Records with `next_seq <= seq < send_until_seq` may be sent."""

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
