"""Golden vectors of the session messages that the edge sends, and of everything it sends in one table."""

from edge.contracts.base import Wire
from edge.contracts.messages import Accepted, Credit, Ping, Pong, Reject, Rejected, RunInfo, State, Welcome
from edge.contracts.records import FieldStatus
from edge.published.vectors_from_edge import RECORD_VECTORS
from edge.published.vectors_to_edge import BEYOND_DOUBLES, EARLIER_RUN, LARGEST_COUNT, LARGEST_INT64, RUN, SMALLEST_INT64

BOOT = "0d9a3a3e-7c57-4f0a-8f0e-2a0d6a1f9c33"
_RUNNING = RunInfo(run_id=RUN, next_seq=7, finished=False, open_triggers=2, open_trigger_ids=("t-4", "t-5"), trigger_until=22)
_FINISHED = RunInfo(run_id=EARLIER_RUN, next_seq=LARGEST_COUNT, finished=True)

FROM_EDGE_VECTORS: dict[str, Wire] = {
    "welcome": Welcome(encoding="json", boot_id=BOOT, server_version="0.1.0", role="controller", runs=(_FINISHED, _RUNNING)),
    "welcome_without_runs": Welcome(encoding="msgpack", boot_id=BOOT, server_version="0.1.0", role="observer"),
    "reject": Reject(code="busy", reason='controller "Gerät-2" holds the lease of this edge; stop that controller first.'),
    "reject_protocol": Reject(code="protocol", reason="this edge speaks wire protocol 1 and the client asked for 2."),
    "accepted": Accepted(cmd_id="2", trigger_until=64),
    "accepted_self_paced": Accepted(cmd_id="1"),
    "rejected": Rejected(cmd_id="2", code="credit", reason="64 triggers were announced, as many as may be; wait for CREDIT."),
    "credit": Credit(run_id=RUN, trigger_until=65),
    "credit_extreme": Credit(run_id=RUN, trigger_until=LARGEST_COUNT),
    "state": State(cmd_id="4", runs=(_RUNNING,), fields={FieldStatus.OK: 4, FieldStatus.LOST: LARGEST_COUNT}),
    "state_without_runs": State(cmd_id="5", runs=()),
    "ping": Ping(nonce=8, t_ns=81_234_567_890_100),
    "pong": Pong(nonce=7, t_ns=81_234_567_890_999, boot_id=BOOT, state="running", last_seq=6, lag=2),
    "pong_before_any_run": Pong(nonce=LARGEST_INT64, t_ns=SMALLEST_INT64, boot_id=BOOT, state="waiting"),
    "pong_extreme": Pong(
        nonce=SMALLEST_INT64, t_ns=BEYOND_DOUBLES, boot_id=BOOT, state="running", last_seq=LARGEST_COUNT, lag=LARGEST_COUNT
    ),
    **RECORD_VECTORS,
}
"""Message per file name; the first of a type is the ordinary one."""
