"""Neighbouring pictures without places: those that overlap are found, and red cells are never taken for each other."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.stated_scan import Photographer, dusty, exposed_again, judged, places_of
from support.tiny_bundle import write_tiny_bundle

from edge.camera.frame import SourceNote
from edge.contracts.detections import Image
from edge.quality.overlap_seen import ENOUGH

pytestmark = pytest.mark.timeout(120)


def scanned(overlap: float, n: int = 8, seed: int = 4) -> list[Image]:
    """A line of fields of which each overlaps the next by that share; below 0 they lie apart."""
    return list(Photographer.of(seed, stage_um=0.5).pictures(places_of(n, 1, overlap)))


def said_of(shown: list[Image]) -> list[SourceNote]:
    return [note for note in judged(shown, [None] * len(shown)) if note.code == "fields_overlap"]


@pytest.mark.parametrize("dust", [False, True], ids=["a clean camera", "dust and a scale bar"])
@pytest.mark.parametrize(
    ("overlap", "says"),
    [
        pytest.param(-0.2, False, id="apart"),
        pytest.param(0.0, False, id="side by side"),
        pytest.param(0.15, True, id="a scan with overlap"),
        pytest.param(0.3, True, id="a scan with much"),
        pytest.param(0.6, True, id="pictures of a camera that is led by hand"),
        pytest.param(0.93, True, id="a video of a stage that moves on"),
    ],
)
def test_pictures_that_overlap_are_found(overlap: float, says: bool, dust: bool) -> None:
    shown = scanned(overlap)
    said = said_of([dusty(one) for one in shown] if dust else shown)
    assert len(said) == says, "once"
    assert not said or (said[0].doubt and f"in {ENOUGH} of {ENOUGH} pairs" in said[0].message)


def test_lines_of_a_scan_and_noise_are_no_hindrance() -> None:
    shown = list(Photographer.of(6, stage_um=1.0).pictures(places_of(3, 3, 0.2)))
    assert said_of([exposed_again(one, at) for at, one in enumerate(shown)])


@pytest.mark.parametrize("um", [0.3, 0.5, 0.8, 1.2])
def test_a_stage_that_creeps_on_is_found(um: float) -> None:
    """Neither a copy of the one before nor moved by a sample; all the same each cell is in every one of them."""
    places = [(5000.0 + um * at, 7000.0) for at in range(30)]
    said = judged(list(Photographer.of(4).pictures(places)), [None] * 30)
    assert {"fields_overlap", "picture_again"} & {note.code for note in said}


def test_empty_fields_say_nothing() -> None:
    empty = list(Photographer.of(5, rbc=0.0, wbc=0.0).pictures(places_of(8, 1, 0.3)))
    assert not said_of(empty) and not said_of([dusty(one) for one in empty])


def test_pictures_of_other_sizes_in_between_are_borne() -> None:
    shown = scanned(0.3)
    assert said_of([*shown[:3], shown[3][:200, :300], *shown[3:]])


@pytest.mark.parametrize(
    ("folder", "n", "says"),
    [
        pytest.param(
            "chula_wbc/images", 40, True, id="neighbours that were photographed with overlap, of which nobody says so"
        ),
        pytest.param("bccd/JPEGImages", 120, False, id="fields apart"),
        pytest.param("pbc_tiles", 120, False, id="cells cut out one by one"),
        pytest.param("rbc_fields/images", 75, False, id="red cells alone"),
    ],
)
def test_real_pictures(real_data: Path, folder: str, n: int, says: bool) -> None:
    files = sorted(path for path in (real_data / folder).rglob("*") if path.suffix in {".jpg", ".png"})[:n]
    assert bool(said_of([np.asarray(cv2.imread(str(path)), np.uint8) for path in files])) == says


def test_a_run_says_it_at_its_end(tmp_path: Path) -> None:
    for number, image in enumerate(scanned(0.3)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "b", width_px=732, height_px=574).path)
    said = messages_of(records, "fields_overlap")
    assert len(said) == 1 and doubts_of(records, "pictures of this run overlap") == said
