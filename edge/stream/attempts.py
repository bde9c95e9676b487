"""Which HELLO of a client is its newest: an abandoned connection may deliver an older one late, and must not get a session."""

from dataclasses import dataclass


@dataclass(slots=True)
class _Newest:
    attempt: int
    heard_ns: int


class Attempts:
    """The greatest `attempt` of each controller. It is remembered for `keep_ns` after the client was last heard: by then an
    abandoned connection has given up, and a clock that was set back keeps nobody out for longer."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._newest: dict[str, _Newest] = {}

    def newer_than(self, client_id: str, attempt: int | None, now_ns: int) -> int | None:
        """The attempt that is newer than this one; None when this one is the newest, or has no number."""
        known = self._newest.get(client_id)
        if attempt is None or known is None or now_ns - known.heard_ns > self._keep_ns or attempt >= known.attempt:
            return None
        return known.attempt

    def take(self, client_id: str, attempt: int | None, now_ns: int) -> None:
        """This attempt has got its session. One without a number cannot be told from older ones, nor they from it."""
        if attempt is None:
            self._newest.pop(client_id, None)
        else:
            self._newest[client_id] = _Newest(attempt, now_ns)

    def heard(self, client_id: str | None, now_ns: int) -> None:
        """The client lives; whoever was not heard for long enough is forgotten."""
        for each, newest in list(self._newest.items()):
            if each == client_id:
                newest.heard_ns = now_ns
            elif now_ns - newest.heard_ns > self._keep_ns:
                del self._newest[each]
