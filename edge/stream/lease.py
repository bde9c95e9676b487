"""The lease: one controller at a time may command the edge."""

from edge.stream.sessions import Session


class Lease:
    """Who commands. The same client id supersedes itself; any other waits until the holder is gone."""

    def __init__(self) -> None:
        self.holder: Session | None = None

    def refusal(self, client_id: str) -> str | None:
        """Why this client cannot have the lease now, or None when it can."""
        if self.holder is None or self.holder.client_id == client_id:
            return None
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
