"""A journal file that holds runs of `overlapping_run`, and what somebody might do to it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from support.overlapping_run import SIZE, UM, Layout, overlapping_run

from edge.camera.frame import Frame, SourceInfo
from edge.camera.frame_store import FrameStore
from edge.contracts.records import FieldRecord, Record, RunStart
from edge.journal.sqlite_journal import SqliteJournal

LAYOUT = Layout(seed=5, columns=3, rows=2, overlap=0.3, cells=25)


def journal_of(path: Path, *runs: Sequence[Record]) -> Path:
    """Written by the edge's own journal, which is closed again."""
    journal = SqliteJournal(path)
    for records in runs:
        for record in records:
            journal.append(record)
    journal.settle()
    journal.close()
    return path


def example_journal(path: Path, run_id: str = "run-a", *, stop: bool = True) -> Path:
    return journal_of(path, overlapping_run(LAYOUT, run_id, stop=stop))


def tamper(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def recorded_journal(folder: Path, run_id: str = "run-a", layout: Layout = LAYOUT, *, left_out: int | None = None) -> Path:
    """The same with frames that were kept, each another picture; `left_out` is a field whose frame was not."""
    records = overlapping_run(layout, run_id)
    frames = folder / "frames"
    start = records[0]
    assert isinstance(start, RunStart)
    records[0] = start.model_copy(update={"settings": {"keep_frames": str(frames)}, "sample_id": "A12"})
    store = FrameStore(
        frames, SourceInfo("virtual:seed=42", *SIZE, UM, n_fields=None, self_paced=False, is_synthetic=True), 1000
    )
    for one in records:
        if isinstance(one, FieldRecord) and one.field_index != left_out:
            store.add(_frame(one))
    store.close()
    return journal_of(folder / "journal.sqlite", records)


def _frame(one: FieldRecord) -> Frame:
    rng = np.random.default_rng(one.field_index)
    small = rng.integers(60, 220, (12, 15, 3), np.uint8)
    image = np.ascontiguousarray(cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC))
    return Frame(
        trigger_id=one.trigger_id,
        field_index=one.field_index,
        status="ok",
        image=image,
        um_per_px=UM,
        t_trigger_ns=0,
        t_host_ns=one.field_index,
        source_name=one.source_name,
    )
