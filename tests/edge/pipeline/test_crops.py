"""Counted cells as files: where they were cut, bit by bit, and what happens when there is no room."""

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from support.full_disk import files_limited_to
from support.stand_ins import CELL
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.camera import tiff_store
from edge.camera.frame import Frame, PixelFormat, SourceInfo, SourceNote
from edge.camera.tiff_store import TiffStore
from edge.contracts.errors import EngineError, SourceError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, FieldRecord, Record, RunStop
from edge.pipeline import Run, StopSwitch, crops, opened, records_of
from edge.pipeline import parts as pipeline_parts
from edge.pipeline.crops import INDEX, CropStore, crop_of
from edge.postprocess import Findings
from edge.settings import Setup
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(60)
WIDTH_PX, HEIGHT_PX = 100, 80
INFO = SourceInfo("test:", WIDTH_PX, HEIGHT_PX, 0.13, None, self_paced=True)


def cell(*box_px: float, label: str = "lymphocyte") -> Findings:
    found = CELL.model_copy(update={"box_px": box_px, "label": label})
    return Findings((found,), {label: 1}, overflow=False)


def frame_of(pixel_format: PixelFormat = "BGR8") -> Frame:
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8)
    return Frame("t7", 7, "ok", image, 0.13, 0, 0, frame_id=41, stage_nm=(5, 6), pixel_format=pixel_format)


@pytest.mark.parametrize(
    ("box_px", "expected"),
    [
        pytest.param((40, 40, 60, 60), (35, 35, 65, 65), id="a quarter of its size around it"),
        pytest.param((0, 0, 20, 20), (0, 0, 25, 25), id="cut at the frame's corner"),
        pytest.param((90, 70, 120, 90), (82, 65, 100, 80), id="a box that reaches out of the frame"),
        pytest.param((40.2, 40.2, 40.4, 40.4), (40, 40, 41, 41), id="never less than a pixel"),
        pytest.param((100, 80, 104, 84), (99, 79, 100, 80), id="a box beside the frame"),
    ],
)
def test_a_crop_lies_in_the_frame(box_px: tuple[float, float, float, float], expected: tuple[int, int, int, int]) -> None:
    assert crop_of(cell(*box_px).detections[0], WIDTH_PX, HEIGHT_PX) == expected


@pytest.mark.parametrize("pixel_format", ["BGR8", "RGB8"])
def test_a_cell_is_kept_as_the_camera_gave_it(tmp_path: Path, pixel_format: PixelFormat) -> None:
    store, frame = CropStore(tmp_path, INFO, 1.0), frame_of(pixel_format)
    assert store.add(frame, cell(40, 40, 60, 60, label="a/b c")) is None
    assert store.add(frame, Findings((), {}, overflow=False)) is None
    store.close()
    about, line = (json.loads(text) for text in (tmp_path / INDEX).read_text().splitlines())
    assert (about["uri"], about["um_per_px"]) == ("test:", 0.13)
    assert line["file"] == "a_b_c/0000000.tif", "a label is no path"
    assert (line["trigger_id"], line["field_index"], line["frame_id"]) == ("t7", 7, 41)
    assert line["source_name"] == frame.source_name, "the image it was cut out of"
    assert (line["stage_nm"], line["crop_px"], line["box_px"]) == ([5, 6], [35, 35, 65, 65], [40, 40, 60, 60])
    rgb = tifffile.imread(tmp_path / line["file"])
    image = frame.image if pixel_format == "RGB8" else frame.image[:, :, ::-1] if frame.image is not None else None
    assert image is not None
    assert np.array_equal(rgb, image[35:65, 35:65])


def test_crops_end_at_their_size_and_say_so_once(tmp_path: Path) -> None:
    store = CropStore(tmp_path, INFO, 0.004)
    notes = [store.add(frame_of(), cell(40, 40, 60, 60)) for _ in range(4)]
    notes += [store.drain(), store.drain()]
    store.close()
    assert [note.code for note in notes if note] == ["crops_incomplete"]
    assert len(list(tmp_path.rglob("*.tif"))) == 1


def test_a_disk_that_is_too_slow_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "WAITING", 2)
    goes_on = threading.Event()
    monkeypatch.setattr(TiffStore, "keep", lambda *_, **__: goes_on.wait(20))
    store = CropStore(tmp_path, INFO, 1.0)
    notes = [store.add(frame_of(), cell(40, 40, 60, 60)) for _ in range(6)]
    said = [note for note in notes if note]
    assert [note.code for note in said] == ["crops_incomplete"]
    assert "on a disk that is too slow: 1 cells were not kept so far." in said[0].message
    goes_on.set()
    store.close()


def test_a_writer_that_is_still_busy_is_left_to_itself_and_closes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crops, "_DRAIN_S", 0.05)
    begun, goes_on, done = threading.Event(), threading.Event(), list[str]()

    def keep(*_: object, **__: object) -> None:
        begun.set()
        goes_on.wait(20)
        done.append(f"kept by {threading.current_thread().name}")

    monkeypatch.setattr(TiffStore, "keep", keep)
    monkeypatch.setattr(TiffStore, "close", lambda _: done.append(f"closed by {threading.current_thread().name}"))
    store = CropStore(tmp_path, INFO, 1.0)
    waits, join = list[float | None](), store._thread.join
    monkeypatch.setattr(store._thread, "join", lambda timeout_s=None: (waits.append(timeout_s), join(timeout_s)))
    for _ in range(3):
        store.add(frame_of(), cell(40, 40, 60, 60))
    assert begun.wait(20)
    note = store.drain()
    store.close()
    assert note is not None
    assert "3 cells were not kept so far." in note.message, "the one that is being written counts as not kept"
    assert (done, waits) == ([], [0.05]), "nothing is closed under the writer, and nobody waits for it twice"
    goes_on.set()
    join(20)
    assert done == ["kept by leuko-crops", "closed by leuko-crops"], "what was left is skipped"


def test_a_writer_that_crashes_is_noticed_and_no_crop_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[Path]()

    def crash_at_third(file: Path, *_: object) -> None:
        if len(written) == 2:
            raise RuntimeError("scripted crash")
        written.append(file)

    monkeypatch.setattr(tiff_store, "write_tiff", crash_at_third)
    store, notes = CropStore(tmp_path, INFO, 1.0), list[SourceNote | None]()
    for _ in range(3):
        notes.append(store.add(frame_of(), cell(40, 40, 60, 60)))
    store._thread.join(20)
    assert not store._thread.is_alive()
    for _ in range(2):
        notes.append(store.add(frame_of(), cell(40, 40, 60, 60)))
    notes += [store.drain()]
    store.close()
    assert store._waiting.empty()
    said = [note for note in notes if note]
    assert [note.code for note in said] == ["crops_incomplete"]
    assert "crashed (RuntimeError: scripted crash); " in said[0].message
    assert re.search(r"; [12] cells were not kept so far, report this defect", said[0].message)
    assert len((tmp_path / INDEX).read_text().splitlines()) == 3, "those before it are whole, and the index is closed"


def test_a_run_that_cannot_begin_leaves_no_folder_in_the_way(
    prepared: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("scripted: no engine fits.")

    settings = prepared.settings.model_copy(update={"keep_frames": tmp_path / "frames"})
    with monkeypatch.context() as patched:
        patched.setattr(pipeline_parts, "engine_for", refuse)
        with pytest.raises(EngineError), opened(replace(prepared, settings=settings)):
            pass
    assert not {tmp_path / "frames", tmp_path / "crops"} & set(tmp_path.iterdir())
    with opened(replace(prepared, settings=settings)):
        assert (tmp_path / "crops" / INDEX).exists()


def test_a_folder_that_holds_crops_is_not_written_into(tmp_path: Path) -> None:
    store = CropStore(tmp_path, INFO, 1.0)
    store.add(frame_of(), cell(40, 40, 60, 60))
    store.close()
    with pytest.raises(SourceError, match="holds a recording already; give another folder"):
        CropStore(tmp_path, INFO, 1.0)


@pytest.fixture
def prepared(tmp_path: Path) -> Setup:
    bundle = write_tiny_bundle(tmp_path / "bundle").path
    for index in range(6):
        blobs = [("lymphocyte", 16, 16 + 8 * index), ("eosinophil", 100, 70)][: 1 + index % 2]
        cv2.imwrite(str(tmp_path / f"{index}.png"), blob_field(blobs))
    given = {"source": str(tmp_path / "*.png"), "um_per_px": 0.13, "bundle": str(bundle), "max_batch": 2}
    return resolve(given | {"keep_crops": str(tmp_path / "crops")})


def run_with_crops(setup: Setup) -> list[Record]:
    with opened(setup) as parts:
        order = RunStartCommand(cmd_id="c", run_id="r")
        run = Run(setup, parts, order, StopSwitch())
        return list(records_of(run))


def test_a_run_keeps_a_crop_of_every_cell_that_it_counts(prepared: Setup, tmp_path: Path) -> None:
    records = run_with_crops(prepared)
    counted = [
        (record.field_index, found.label, list(found.box_px))
        for record in records
        if isinstance(record, FieldRecord)
        for found in record.detections
    ]
    lines = [json.loads(text) for text in (tmp_path / "crops" / INDEX).read_text().splitlines()[1:]]
    assert [(line["field_index"], line["label"], line["box_px"]) for line in lines] == counted
    assert counted, "else this shows nothing"
    assert {path.name for path in (tmp_path / "crops").iterdir()} == {INDEX, "lymphocyte", "eosinophil"}
    for line in lines:
        x1, y1, x2, y2 = line["crop_px"]
        field = cv2.imread(str(tmp_path / f"{line['field_index']}.png"))
        assert field is not None
        assert np.array_equal(tifffile.imread(tmp_path / "crops" / line["file"])[:, :, ::-1], field[y1:y2, x1:x2])


def test_a_full_disk_ends_the_crops_and_not_the_run(prepared: Setup) -> None:
    with files_limited_to(2000):
        records = run_with_crops(prepared)
    events = [record for record in records if isinstance(record, Event) and record.code.startswith("crops")]
    assert [event.code for event in events] == ["crops_incomplete"]
    assert "cannot be written any more" in events[0].message
    last = records[-1]
    assert isinstance(last, RunStop)
    assert (last.outcome.value, last.sums_match, last.triggers) == ("completed", True, 6)
