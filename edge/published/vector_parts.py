"""What golden vectors of several files repeat: a moment, and the provenance of a run without a profile."""

from edge.contracts.records import Provenance

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
