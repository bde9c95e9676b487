"""The three tables of a scored archive as Arrow: a row per cell, per field, per slide; `FORMAT` is said in every file.

`slide_id` and `run_id` are in all of them. A slide's row has its provenance. A field that was not counted has no cells, not
none, so that its numbers are null; and so are those of a slide that failed.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from edge.contracts.records import Event, FieldRecord, FieldStatus, RunStart, RunStop
from edge.counting import NON_WBC_LABELS, WBC_LABELS

FORMAT = "leukostream scores 1"
_ROWS_AT_ONCE = 10_000
LABELS = (*WBC_LABELS, *NON_WBC_LABELS)
_BOTH = [pa.field("slide_id", pa.string(), nullable=False), pa.field("run_id", pa.string(), nullable=False)]
_SAME = pa.list_(pa.struct([("field_index", pa.int32()), ("cell", pa.int32()), ("distance_um", pa.float32())]))
_LIMITS = [("percent", pa.float64()), ("low_percent", pa.float64()), ("high_percent", pa.float64())]
_DIFFERENTIAL = pa.list_(pa.struct([("label", pa.string()), ("count", pa.int64()), *_LIMITS]))


def _schema(*columns: pa.Field | tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*_BOTH, *columns], metadata={"format": FORMAT})


CELLS = _schema(
    ("field_index", pa.int32()),
    ("cell", pa.int32()),
    *((name, pa.string()) for name in ("label", "best_class", "runner_up")),
    ("is_wbc", pa.bool_()),
    *((name, pa.float32()) for name in ("score", "presence", "margin", "probability")),
    *((name, pa.float32()) for name in ("x1_px", "y1_px", "x2_px", "y2_px", "width_um", "height_um")),
    ("touches_border", pa.bool_()),
    ("stage_x_nm", pa.int64()),
    ("stage_y_nm", pa.int64()),
    ("same_as", _SAME),
)
FIELDS = _schema(
    ("field_index", pa.int32()),
    *((name, pa.string()) for name in ("source_name", "status", "detail")),
    ("counted", pa.bool_()),
    ("width_px", pa.int32()),
    ("height_px", pa.int32()),
    ("um_per_px", pa.float64()),
    ("stage_x_nm", pa.int64()),
    ("stage_y_nm", pa.int64()),
    ("overflow", pa.bool_()),
    ("colour_drift", pa.float32()),
    ("wbc", pa.int32()),
    *((label, pa.int32()) for label in LABELS),
)
SLIDES = _schema(
    *((name, pa.string()) for name in ("location", "profile", "status", "failure", "detail")),
    ("um_per_px", pa.float64()),
    ("fields", pa.int32()),
    *((f"fields_{status.value}", pa.int32()) for status in FieldStatus),
    ("each_cell_once", pa.bool_()),
    ("wbc", pa.int64()),
    *((label, pa.int64()) for label in LABELS),
    ("differential", _DIFFERENTIAL),
    ("doubts", pa.list_(pa.string())),
    ("notes", pa.list_(pa.string())),
    ("diagnostic", pa.bool_()),
    ("is_synthetic", pa.bool_()),
    *((name, pa.string()) for name in ("bundle_id", "engine", "engine_parity", "profile_sha256", "leukostream_version")),
    ("provenance", pa.string()),
    ("settings", pa.string()),
    ("input_sha256", pa.string()),
    ("scored_at", pa.string()),
    ("duration_s", pa.float64()),
)
"""`failure` is whose it was: slide, engine or defect; `provenance` and `settings` are JSON, as in run_start."""


def cell_rows(slide_id: str, record: FieldRecord) -> list[dict[str, Any]]:
    """The cells of one field. `same_as`: where a former field shows the same cell, as `cell` of `field_index`."""
    slide = record.running.slide
    rows = []
    for number, cell in enumerate(record.detections):
        same = [one for one in slide.same_cells if one.detection == number] if slide else []
        row = cell.model_dump(include={"label", "best_class", "runner_up", "is_wbc", "score", "presence", "margin"})
        row |= dict(zip(("x1_px", "y1_px", "x2_px", "y2_px"), cell.box_px, strict=True))
        row |= dict(zip(("width_um", "height_um"), cell.size_um, strict=True))
        stage = cell.centre_stage
        row |= {
            "slide_id": slide_id,
            "run_id": record.run_id,
            "field_index": record.field_index,
            "cell": number,
            "probability": cell.probability,
            "touches_border": cell.touches_border,
            "stage_x_nm": stage.x_nm if stage else None,
            "stage_y_nm": stage.y_nm if stage else None,
            "same_as": [
                {"field_index": one.field_index, "cell": one.of_detection, "distance_um": one.distance_um} for one in same
            ],
        }
        rows.append(row)
    return rows


def field_row(slide_id: str, record: FieldRecord) -> dict[str, Any]:
    """One field."""
    stage, counts = record.stage, record.counts
    return {
        "slide_id": slide_id,
        "run_id": record.run_id,
        "field_index": record.field_index,
        "source_name": record.source_name,
        "status": record.status.value,
        "detail": record.detail,
        "counted": record.counted,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "um_per_px": record.um_per_px,
        "stage_x_nm": stage.x_nm if stage else None,
        "stage_y_nm": stage.y_nm if stage else None,
        "overflow": record.overflow,
        "colour_drift": record.quality.colour_drift if record.quality else None,
        "wbc": sum(counts.get(label, 0) for label in WBC_LABELS) if record.counted else None,
        **{label: counts.get(label, 0) if record.counted else None for label in LABELS},
    }


def origin_columns(start: RunStart) -> dict[str, Any]:
    """What a slide's row says of the run's beginning: model, engine, calibration, settings."""
    provenance = start.provenance
    return {
        "um_per_px": provenance.um_per_px,
        "diagnostic": start.diagnostic,
        "is_synthetic": provenance.is_synthetic,
        "bundle_id": provenance.bundle_id,
        "engine": provenance.engine,
        "engine_parity": provenance.engine_parity,
        "profile_sha256": provenance.profile_sha256,
        "leukostream_version": provenance.leukostream_version,
        "provenance": provenance.model_dump_json(),
        "settings": json.dumps(start.settings, sort_keys=True),
    }


def result_columns(stop: RunStop, notes: Sequence[Event]) -> dict[str, Any]:
    """What a slide's row says of the run's end; the cells only of a run that came to its end."""
    columns: dict[str, Any] = {
        "fields": stop.triggers,
        **{f"fields_{status.value}": stop.fields.get(status, 0) for status in FieldStatus},
        "doubts": list(stop.doubts),
        "notes": [note.message for note in notes],
        "duration_s": stop.duration_s,
    }
    if stop.outcome.value != "completed":
        return columns
    once = stop.slide
    cells, differential = (once.cells, once.differential) if once else (stop.cells, stop.differential)
    return columns | {
        "each_cell_once": once is not None,
        "wbc": differential.wbc_total,
        **{label: cells.get(label, 0) for label in LABELS},
        "differential": [row.model_dump() for row in differential.rows],
    }


class TableBuffer:
    """Rows on their way into one Parquet file; a million cells take the memory of their columns, not of their rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._parts: list[pa.Table] = []

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A key that a row lacks is null."""
        self._rows.extend(rows)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._settle()

    def parquet(self) -> bytes:
        """The whole file."""
        import pyarrow.parquet  # noqa: PLC0415 a module of its own, which the schemas do without

        self._settle()
        sink = pa.BufferOutputStream()
        pyarrow.parquet.write_table(pa.concat_tables(self._parts), sink, compression="zstd")
        return bytes(sink.getvalue())

    def _settle(self) -> None:
        self._parts.append(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []
