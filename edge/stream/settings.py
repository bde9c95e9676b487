"""Times and limits of the stream, in one table."""

from pydantic import Field

from edge.contracts.base import Strict


class StreamSettings(Strict):
    """How often the edge shows that it lives, and how long it believes in a silent client."""

    ping_every_s: float = Field(1.0, gt=0, le=60, description="PING to every session at this interval")
    silent_after_s: float = Field(5.0, gt=0, le=600, description="a session not heard for so long is lost; its run goes on")
    batch_records: int = Field(64, ge=1, le=4096, description="records sent to one session before the next has its turn")
    messages_per_s: float = Field(10_000, ge=1, description="more of one client are dropped, and it is told so")
    strangers_per_s: float = Field(1_000, ge=1, description="messages outside of any session, of all clients together")
    max_sessions: int = Field(64, ge=1, description="sessions at a time; the controller's always finds a place")
    max_waiting_answers: int = Field(1000, ge=1, description="a client that leaves more answers unread loses its session")


class ClientSettings(Strict):
    """How far a client lets the edge run ahead, and how long it believes in a silent edge."""

    window: int = Field(64, ge=1, le=100_000, description="records the edge may send beyond the last one taken")
    ping_every_s: float = Field(1.0, gt=0, le=60)
    dead_after_s: float = Field(5.0, gt=0, le=600, description="nothing heard for so long: the edge is gone, reconnect")
    reconnect_s: float = Field(10.0, gt=0, le=3600, description="how long to try to reconnect before giving up")
    command_retry_s: float = Field(1.0, gt=0, le=60, description="repeat an unanswered command, with the same cmd_id")
