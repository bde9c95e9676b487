"""A whole run over a real engine: run_start, every field once, run_stop, whatever happens in between."""

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stand_ins import ListSource, Status, frame_of
from support.tiny_bundle import BLOB_PX, blob_field, write_tiny_bundle

from edge.camera.folder import FolderSource
from edge.camera.frame import Frame, SourceNote
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle
from edge.contracts.detections import RawDetections
from edge.contracts.errors import ConfigError, EngineError, JournalError, LeukoError, SourceError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, FieldRecord, FieldStatus, Record, RunOutcome, RunStart, RunStop
from edge.engine.base import Engine
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, engine_for, opened, run_fields
from edge.pipeline import records_of as turned
from edge.pipeline.field_work import plan_for
from edge.settings import EdgeSettings, Setup
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(40)

SIZE_PX = (160, 128)
ONE_CELL = blob_field([("lymphocyte", 40, 40)])
TWO_CELLS = blob_field([("lymphocyte", 40, 40), ("platelet_giant", 96, 80)])
NO_CELL = blob_field()
OTHER_SIZE = np.full((64, 64, 3), 255, np.uint8)
IMAGES = {"one": ONE_CELL, "two": TWO_CELLS, "none": NO_CELL, "other size": OTHER_SIZE}
STATUSES: dict[str, Status] = {"lost": "lost", "incomplete": "incomplete", "failed": "failed"}
ENDS = {
    "one": FieldStatus.OK,
    "two": FieldStatus.OK,
    "none": FieldStatus.EMPTY,
    "other size": FieldStatus.FAILED,
    "lost": FieldStatus.LOST,
    "incomplete": FieldStatus.INCOMPLETE,
    "failed": FieldStatus.FAILED,
}


class Faulty:
    """A real engine that breaks at its `at`-th collect."""

    def __init__(self, engine: Engine, at: int) -> None:
        self.info, self.slot, self.submit, self.close = engine.info, engine.slot, engine.submit, engine.close
        self.keep_warm, self._collect = engine.keep_warm, engine.collect
        self._left = at

    def collect(self, index: int) -> RawDetections:
        raw = self._collect(index)
        self._left -= 1
        if self._left < 0:
            raise EngineError("the device went away; restart the edge.")
        return raw


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("run") / "bundle")


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[Engine]:
    engine, _ = engine_for(source_of([]).info, bundle, EdgeSettings(source="list:", max_batch=2, precision="f32"))
    yield engine
    engine.close()


def frames_of(kinds: list[str]) -> list[Frame]:
    return [frame_of(i, image=IMAGES.get(kind), status=STATUSES.get(kind, "ok")) for i, kind in enumerate(kinds)]


def source_of(script: list[Frame | Exception], notes: tuple[SourceNote, ...] = ()) -> ListSource:
    return ListSource(script, notes, SIZE_PX)  # type: ignore[arg-type]


def records_of(bundle: Bundle, engine: Engine, source: ListSource, stop_at: int | None = None, **more: object) -> list[Record]:
    setup = Setup(EdgeSettings.model_validate({"source": "list:", **more}), bundle)
    stop = StopSwitch()
    order = RunStartCommand(cmd_id="c", run_id="r", slide_id="s1")
    records = []
    for record in turned(Run(setup, Parts(source, engine, plan_for(source.info, bundle)), order, stop)):
        records.append(record)
        if len(records) == stop_at:
            stop.stop("asked")
    return records


def check_account(records: list[Record]) -> RunStop:
    """What holds for every run, whatever happened in it."""
    start, stop = records[0], records[-1]
    fields = [record for record in records if isinstance(record, FieldRecord)]
    assert isinstance(start, RunStart)
    assert isinstance(stop, RunStop)
    assert [record.seq for record in records] == list(range(len(records)))
    assert stop.sums_match
    assert stop.triggers == len(fields) == sum(stop.fields.values())
    assert [field.field_index for field in fields] == sorted({field.field_index for field in fields})
    for field in fields:
        processed = field.status in (FieldStatus.OK, FieldStatus.EMPTY)
        assert (field.counted, field.times is not None, not field.detail) == (processed,) * 3
        assert bool(field.detections) is (field.status is FieldStatus.OK)
    if fields:
        assert fields[-1].running.fields == stop.fields
        assert fields[-1].running.cells == stop.cells
    return stop


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(ENDS)), max_size=10), st.integers(1, 3))
def test_any_mix_of_fields_adds_up(bundle: Bundle, engine: Engine, kinds: list[str], queue_fields: int) -> None:
    records = records_of(bundle, engine, source_of(frames_of(kinds)), queue_fields=queue_fields)
    stop = check_account(records)
    assert [record.status for record in records if isinstance(record, FieldRecord)] == [ENDS[kind] for kind in kinds]
    lymphocytes, platelets = kinds.count("one") + kinds.count("two"), kinds.count("two")
    expected = {"lymphocyte": lymphocytes, "platelet_giant": platelets}
    assert stop.cells == {label: count for label, count in expected.items() if count}
    assert stop.differential.wbc_total == lymphocytes
    unusable = sum(kinds.count(kind) for kind in ("other size", "incomplete", "failed"))
    if 2 * unusable > len(kinds):
        assert stop.outcome is RunOutcome.FAILED and f"{unusable} of {len(kinds)} fields could not be used" in stop.detail
    else:
        assert stop.outcome is RunOutcome.COMPLETED


@settings(max_examples=25)
@given(st.integers(1, 12), st.sampled_from(["lossless", "latest"]))
def test_a_stopped_run_accounts_for_what_it_took_in(bundle: Bundle, engine: Engine, stop_at: int, policy: str) -> None:
    source = source_of(frames_of(["one"] * 10))
    stop = check_account(records_of(bundle, engine, source, stop_at=stop_at, policy=policy))
    assert stop.triggers == source.given
    if source.given < 10:
        assert (stop.outcome, stop.detail) == (RunOutcome.STOPPED, "asked")


def test_an_engine_that_fails_in_mid_run_fails_the_run_and_not_the_account(bundle: Bundle, engine: Engine) -> None:
    records = records_of(bundle, Faulty(engine, 3), source_of(frames_of(["one"] * 30)), max_batch=1)
    stop = check_account(records)
    assert stop.outcome is RunOutcome.FAILED
    assert "device went away" in stop.detail
    assert (
        stop.fields[FieldStatus.OK]
        == stop.cells["lymphocyte"]
        == sum(isinstance(r, FieldRecord) and r.counted for r in records)
    )
    assert stop.fields[FieldStatus.FAILED] >= 1


def test_a_source_that_fails_in_mid_run_keeps_what_it_gave(bundle: Bundle, engine: Engine) -> None:
    script = [*frames_of(["one", "none"]), SourceError("the camera was unplugged; plug it in.")]
    stop = check_account(records_of(bundle, engine, source_of(script)))
    assert (stop.outcome, stop.detail) == (RunOutcome.FAILED, "the camera was unplugged; plug it in.")
    assert stop.fields == {FieldStatus.OK: 1, FieldStatus.EMPTY: 1}


def test_a_source_without_fields_gives_an_empty_run(bundle: Bundle, engine: Engine) -> None:
    stop = check_account(records_of(bundle, engine, source_of([])))
    assert (stop.outcome, stop.triggers, stop.differential.rows) == (RunOutcome.COMPLETED, 0, ())


def test_run_start_says_what_the_results_depend_on(bundle: Bundle, engine: Engine) -> None:
    note = SourceNote("converted", "grey images are converted.")
    records = records_of(bundle, engine, source_of(frames_of(["one"]), (note,)), policy="latest", max_fields=1)
    start = records[0]
    assert isinstance(start, RunStart)
    assert (start.slide_id, start.policy, start.diagnostic, start.fields_expected) == ("s1", "latest", False, 1)
    assert start.provenance.bundle_id == bundle.bundle_id
    assert start.provenance.engine_precision == engine.info.precision
    assert start.provenance.configuration_sha256 == EdgeSettings(source="list:", policy="latest", max_fields=1).sha256()
    assert [record.code for record in records if isinstance(record, Event)] == ["converted"]


def test_an_engine_for_another_camera_is_refused(bundle: Bundle, engine: Engine) -> None:
    source = ListSource([], size_px=(158, 128))
    with pytest.raises(ConfigError, match="open it for this source"):
        Parts(source, engine, plan_for(source.info, bundle))


def test_a_folder_with_a_damaged_file_from_resolve_to_journal(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "fields"
    folder.mkdir()
    for name, image in (("1.png", ONE_CELL), ("2.png", NO_CELL), ("4.png", TWO_CELLS)):
        cv2.imwrite(str(folder / name), image)
    (folder / "3.png").write_bytes(b"")
    setup = resolve({"source": str(folder), "um_per_px": 0.13, "bundle": bundle.path, "max_batch": 4})
    journal = MemoryJournal()
    with opened(setup) as parts:
        order = RunStartCommand(cmd_id="c", run_id="r")
        for record in turned(Run(setup, parts, order, StopSwitch())):
            journal.append(record)
    assert journal.finished("r")
    stop = RunStop.model_validate_json(journal.read("r", 0, 100)[-1][1])
    assert stop.fields == {FieldStatus.OK: 2, FieldStatus.EMPTY: 1, FieldStatus.FAILED: 1}
    assert stop.cells == {"lymphocyte": 2, "platelet_giant": 1}


def test_a_field_of_several_tiles_counts_each_cell_once(bundle: Bundle) -> None:
    blobs = [("lymphocyte", 40, 40), ("lymphocyte", 300, 40), ("lymphocyte", 300, 200)]
    wide = blob_field(blobs, width_px=400, height_px=300)
    source = ListSource([frame_of(0, image=wide), frame_of(1, image=wide)], size_px=(400, 300))
    settings_ = EdgeSettings(source="list:", precision="f32")
    engine, plan = engine_for(source.info, bundle, settings_)
    assert plan.n_tiles > 1
    fields = list(run_fields(source, engine, bundle, settings_))
    engine.close()
    assert [field.counts for field in fields] == [{"lymphocyte": 3}] * 2


def test_each_image_of_a_folder_is_counted_at_its_own_size(bundle: Bundle, tmp_path: Path) -> None:
    """The engine is opened for the first; a smaller one is centred, a larger one cut into more tiles than a batch holds."""
    blobs = [("lymphocyte", 40, 40)]
    far = ("lymphocyte", 300, 200)
    images = [
        blob_field(blobs),
        blob_field(blobs, width_px=100, height_px=80),
        blob_field([*blobs, far], width_px=400, height_px=300),
        blob_field(blobs),
        blob_field(blobs, width_px=161, height_px=129),
    ]
    for index, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{index}.png"), image)
    source = FolderSource(str(tmp_path), 0.13)
    settings_ = EdgeSettings(source="list:", precision="f32")
    engine, plan = engine_for(source.info, bundle, settings_)
    assert (plan.n_tiles, engine.info.max_batch) == (1, 1)
    fields = list(run_fields(source, engine, bundle, settings_))
    engine.close()
    assert [field.counts for field in fields] == [{"lymphocyte": n} for n in (1, 1, 2, 1, 1)]
    assert [(field.width_px, field.height_px) for field in fields] == [image.shape[1::-1] for image in images]
    for field in fields:
        for cell in field.detections[:1]:
            x1, y1, x2, y2 = cell.box_px
            assert 36 <= x1 < x2 <= 40 + 1.3 * BLOB_PX and 36 <= y1 < y2 <= 40 + 1.3 * BLOB_PX, "in pixels of its own image"


def test_run_fields_raises_when_the_run_fails(bundle: Bundle, engine: Engine) -> None:
    fields = run_fields(source_of(frames_of(["one"] * 9)), Faulty(engine, 1), bundle, EdgeSettings(source="list:"))
    with pytest.raises(LeukoError, match="device went away"):
        list(fields)


def test_an_abandoned_run_leaves_the_engine_usable(bundle: Bundle, engine: Engine) -> None:
    settings_ = EdgeSettings(source="list:")
    fields = run_fields(source_of(frames_of(["one"] * 9)), engine, bundle, settings_)
    next(fields)
    fields.close()  # type: ignore[attr-defined]
    assert len(list(run_fields(source_of(frames_of(["one"] * 3)), engine, bundle, settings_))) == 3


def broken_after(n_records: int, problem: BaseException, bundle: Bundle, engine: Engine) -> list[Record]:
    """A run whose caller breaks in mid-step, after so many records."""
    source = source_of(frames_of(["one"] * 9))
    parts = Parts(source, engine, plan_for(source.info, bundle))
    order = RunStartCommand(cmd_id="c", run_id="r")
    run = Run(Setup(EdgeSettings(source="list:"), bundle), parts, order, StopSwitch())
    records: list[Record] = [run.begin()]
    with run:
        while run.goes_on:
            for ended in run.compute(run.take()):
                if len(records) == n_records:
                    raise problem
                records.append(run.count(ended))
    return [*records, run.end()]


def test_whatever_breaks_between_two_steps_becomes_the_outcome(bundle: Bundle, engine: Engine) -> None:
    records = broken_after(3, ZeroDivisionError("boom"), bundle, engine)
    last = records[-1]
    assert isinstance(last, RunStop)
    assert last.outcome is RunOutcome.FAILED
    assert last.detail.startswith("the run crashed (ZeroDivisionError: boom)")
    assert [record.seq for record in records] == list(range(4))
    assert not last.sums_match
    assert len(list(run_fields(source_of(frames_of(["one"] * 3)), engine, bundle, EdgeSettings(source="list:")))) == 3


def test_a_machine_that_gives_no_thread_fails_the_run(bundle: Bundle, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        records = records_of(bundle, engine, source_of(frames_of(["one"] * 3)))
    stop = check_account(records)
    assert (stop.outcome, stop.triggers, len(records)) == (RunOutcome.FAILED, 0, 2)
    assert stop.detail.startswith("the run crashed (RuntimeError: can't start new thread)")


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(JournalError("the disk is full."), id="nothing can be put on record any more"),
        pytest.param(KeyboardInterrupt(), id="the process is asked to end at once"),
    ],
)
def test_what_no_record_can_follow_is_passed_on(bundle: Bundle, engine: Engine, problem: BaseException) -> None:
    with pytest.raises(type(problem)):
        broken_after(2, problem, bundle, engine)
    assert len(list(run_fields(source_of(frames_of(["one"] * 3)), engine, bundle, EdgeSettings(source="list:")))) == 3


def test_run_fields_reads_any_source(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), TWO_CELLS)
    source = open_source(str(tmp_path), 0.13)
    counts = [field.counts for field in run_fields(source, engine, bundle, EdgeSettings(source=str(tmp_path)))]
    assert counts == [{"lymphocyte": 1, "platelet_giant": 1}]
