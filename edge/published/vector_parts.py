"""What golden vectors have in common: values at the ends of their ranges, one run's provenance, and the head of its records."""

from typing import TypeVar

from edge.contracts.base import Wire
from edge.contracts.records import Differential, DifferentialRow, Provenance
from edge.contracts.run_order import RunOrder

_Record = TypeVar("_Record", bound=Wire)

RUN = "3f8e1c0a-0000-4000-8000-000000000001"
BOOT = "0d9a3a3e-7c57-4f0a-8f0e-2a0d6a1f9c33"
WALL = "2030-01-02T03:04:05Z"

PROVENANCE = Provenance(
    bundle_id="a" * 64,
    bundle_name="example",
    bundle_trained=True,
    engine="OpenVINO 2026.4.1 on CPU, f32",
    engine_precision="f32",
    profile_sha256=None,
    configuration_sha256="b" * 64,
    leukostream_version="0.1.0",
    host="bench",
    source="virtual:seed=42",
    um_per_px=0.13,
    frame_width_px=732,
    frame_height_px=574,
    is_synthetic=True,
)
EARLIER_RUN = "3f8e1c0a-0000-4000-8000-000000000000"
LARGEST_COUNT = 2**53 - 1
"""Above it a JSON parser that knows doubles only would round."""
BEYOND_DOUBLES = 2**53 + 1
"""A double holds its neighbours and not this."""
LARGEST_INT64 = 2**63 - 1
SMALLEST_INT64 = -(2**63)
ORDER = RunOrder(
    target_leukocytes=LARGEST_COUNT,
    limit_width_percent={"lymphocyte": 8.0, "unidentified": 0.1 + 0.2},
    field_cap=100_000,
    time_cap_s=1e-7,
    quality="leave_out",
    smudges="lymphocytes",
)
SLIDE = "Präparat 7: 血液 🩸"
NOTHING_COUNTED = Differential(wbc_total=0, rows=(), non_wbc_per_100_wbc={})


def record(kind: type[_Record], seq: int, **keys: object) -> _Record:
    """A record of the run at `seq`; with `boot_id` one of a process that says which it is."""
    return kind.model_validate({"run_id": RUN, "seq": seq, "wall_time": WALL, **keys})


def only(label: str, count: int, low_percent: float = 100.0) -> tuple[DifferentialRow, ...]:
    """Rows of a differential in which every leukocyte is one of these."""
    return (DifferentialRow(label=label, count=count, percent=100.0, low_percent=low_percent, high_percent=100.0),)
