"""What looks at fields beside the model may fail: no field loses its cells by it, and the run says that it has."""

from pathlib import Path

import cv2
import pytest
from support.folder_run import messages_of, records_over
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.records import FieldRecord, RunStop
from edge.quality import ChannelOrder, FieldWatch, FixedThings, PositionCheck

pytestmark = pytest.mark.timeout(60)

N_FIELDS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    for number in range(N_FIELDS):
        smear = Smear(cells=12, leukocytes=1, width_px=400, height_px=320, platelets=0)
        cv2.imwrite(str(folder / f"{number}.png"), draw_smear(smear, number))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("b") / "bundle").path


@pytest.mark.parametrize(
    ("watch", "method"),
    [
        pytest.param(ChannelOrder, "look", id="at a field's pixels"),
        pytest.param(FieldWatch, "judged", id="when a field is judged"),
        pytest.param(FixedThings, "counted", id="once its cells are known"),
        pytest.param(PositionCheck, "ended", id="when a field has its end"),
    ],
)
def test_a_defect_beside_the_model_costs_no_field_its_cells(
    folder: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, watch: type, method: str
) -> None:
    sound = records_over(folder, bundle)
    monkeypatch.setattr(watch, method, lambda *_, **__: 1 / 0)
    broken = records_over(folder, bundle)
    stop, before = broken[-1], sound[-1]
    assert isinstance(stop, RunStop) and isinstance(before, RunStop)
    assert (stop.fields, stop.cells, stop.sums_match) == (before.fields, before.cells, True) and sum(
        stop.fields.values()
    ) == N_FIELDS
    assert [r.detections for r in broken if isinstance(r, FieldRecord)] == [
        r.detections for r in sound if isinstance(r, FieldRecord)
    ]
    (said,) = messages_of(broken, "watch_failed")
    assert "ZeroDivisionError" in said and said in stop.doubts and not messages_of(sound, "watch_failed")
