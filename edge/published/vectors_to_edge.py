"""Golden vectors of what a client sends: at least one of every type, with values at the ends of their ranges."""

from edge.contracts.base import Wire
from edge.contracts.messages import (
    Ack,
    Hello,
    Ping,
    Pong,
    Query,
    Resume,
    RunStartCommand,
    RunStopCommand,
    TriggerCommand,
)
from edge.contracts.records import StagePosition

RUN = "3f8e1c0a-0000-4000-8000-000000000001"
EARLIER_RUN = "3f8e1c0a-0000-4000-8000-000000000000"
LARGEST_COUNT = 2**53 - 1
"""Above it a JSON parser that knows doubles only would round."""
BEYOND_DOUBLES = 2**53 + 1
"""A double holds its neighbours and not this."""
LARGEST_INT64 = 2**63 - 1
SMALLEST_INT64 = -(2**63)
SLIDE = "Präparat 7: 血液 🩸"

TO_EDGE_VECTORS: dict[str, Wire] = {
    "hello": Hello(client_id="scanner-1", encodings=("msgpack", "json")),
    "hello_resume": Hello(client_id="scanner-1", encodings=("json",), resume=Resume(run_id=RUN, next_seq=3)),
    "hello_observer": Hello(client_id="Beobachter-ü", role="observer", encodings=("cbor", "json")),
    "run_start": RunStartCommand(cmd_id="1", run_id=RUN, slide_id=SLIDE, sample_id="0815", max_fields=200),
    "run_start_least": RunStartCommand(cmd_id="1", run_id=RUN),
    "run_start_continues": RunStartCommand(
        cmd_id="c" * 128, run_id=RUN, slide_id="ü" * 128, continues_run_id=EARLIER_RUN, max_fields=LARGEST_COUNT
    ),
    "trigger": TriggerCommand(
        cmd_id="2", run_id=RUN, trigger_id="t-0", field_index=0, stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000)
    ),
    "trigger_extreme": TriggerCommand(
        cmd_id="2",
        run_id=RUN,
        trigger_id="t-9007199254740991",
        field_index=LARGEST_COUNT,
        stage=StagePosition(x_nm=SMALLEST_INT64, y_nm=BEYOND_DOUBLES),
    ),
    "trigger_without_stage": TriggerCommand(cmd_id="2", run_id=RUN, trigger_id="t-1", field_index=1),
    "run_stop": RunStopCommand(cmd_id="3", run_id=RUN),
    "query": Query(cmd_id="4"),
    "query_one_run": Query(cmd_id="5", run_id=RUN),
    "ack": Ack(run_id=RUN, upto_seq=130, send_until_seq=195),
    "ack_nothing_yet": Ack(run_id=RUN, upto_seq=-1, send_until_seq=64),
    "ack_extreme": Ack(run_id=RUN, upto_seq=LARGEST_COUNT, send_until_seq=LARGEST_COUNT),
    "ping": Ping(nonce=7, t_ns=81_234_567_890_123),
    "ping_extreme": Ping(nonce=LARGEST_INT64, t_ns=SMALLEST_INT64),
    "pong": Pong(nonce=BEYOND_DOUBLES, t_ns=0),
}
"""Message per file name; the first of a type is the ordinary one."""
