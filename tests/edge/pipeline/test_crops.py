"""Counted cells as files: where they were cut, bit by bit, and what happens when there is no room."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from support.full_disk import files_limited_to
from support.stand_ins import CELL
from support.tiny_bundle import blob_field, write_tiny_bundle

from leukostream.edge.camera.frame import Frame, PixelFormat, SourceInfo
from leukostream.edge.camera.tiff_store import TiffStore
from leukostream.edge.contracts.errors import SourceError
from leukostream.edge.contracts.messages import RunStartCommand
from leukostream.edge.contracts.records import Event, FieldRecord, Record, RunStop
from leukostream.edge.pipeline import Run, StopSwitch, crops, opened
from leukostream.edge.pipeline.crops import INDEX, CropStore, crop_of
from leukostream.edge.pipeline.job import Findings
from leukostream.edge.settings import Setup, resolve

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


def test_a_folder_that_holds_crops_is_not_written_into(tmp_path: Path) -> None:
    CropStore(tmp_path, INFO, 1.0).close()
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
        run = Run(setup, parts.source, parts.engine, parts.plan, order, StopSwitch(), crops=parts.crops)
        return list(run.records())


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
    events = [record for record in records if isinstance(record, Event)]
    assert [event.code for event in events] == ["crops_incomplete"]
    assert "cannot be written any more" in events[0].message
    last = records[-1]
    assert isinstance(last, RunStop)
    assert (last.outcome.value, last.sums_match, last.triggers) == ("completed", True, 6)
