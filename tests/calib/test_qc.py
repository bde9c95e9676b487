"""The daily check of a reference slide: what is found is counted, and what is broken is not left out of the count."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib
from support.full_disk import files_limited_to
from support.made_profiles import SHA, made_profile, pixel_size
from support.tiny_bundle import BLOB_PX, blob_field, write_tiny_bundle

from calib.qc_history import QcDay, append_day, read_days
from calib.reference_slide import SlideCount
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Image
from edge.contracts.errors import DataError, ProfileError
from edge.contracts.label_lines import LabelledCell, LabelledImage, write_label_lines
from edge.contracts.profile import CameraGeometry, write_profile

pytestmark = pytest.mark.timeout(60)

WIDTH_PX, HEIGHT_PX = 320, 256
KINDS = ("lymphocyte", "eosinophil", "neutrophil_segmented")


def places(field: int) -> list[tuple[str, int, int]]:
    """Where the cells of one field lie: class and corner, apart from one another and from the border."""
    rng = np.random.default_rng(field)
    corners: list[tuple[int, int]] = []
    while len(corners) < 4:
        x, y = int(rng.integers(24, WIDTH_PX - 24 - BLOB_PX)), int(rng.integers(24, HEIGHT_PX - 24 - BLOB_PX))
        if all(abs(x - other_x) > 44 or abs(y - other_y) > 44 for other_x, other_y in corners):
            corners.append((x, y))
    return [(KINDS[n % 3], x, y) for n, (x, y) in enumerate(corners)]


IN_SIGHT = sum(x >= 60 for field in range(12) for _, x, _ in places(field))
"""Cells that are still in their field when the slide lies 60 px further left."""


def drawn(field: int, shift: tuple[int, int] = (0, 0), without: int = 0) -> Image:
    """Cells among pale ones, which no model counts and which show where on the slide the field is."""
    blobs = [(kind, x + shift[0], y + shift[1]) for kind, x, y in places(field)[without:]]
    cells = blob_field(blobs, width_px=WIDTH_PX, height_px=HEIGHT_PX)
    if without == len(places(field)):
        return cells
    rough = np.random.default_rng([field, 1]).normal(0, 1, (HEIGHT_PX + 400, WIDTH_PX + 400)).astype(np.float32)
    pale = cv2.normalize(cv2.GaussianBlur(rough, (0, 0), 4), None, 190, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    x, y = 200 - shift[0], 200 - shift[1]
    return np.minimum(cells, pale[y : y + HEIGHT_PX, x : x + WIDTH_PX, None].astype(np.uint8))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("qc") / "bundle", width_px=WIDTH_PX, height_px=HEIGHT_PX)


def slide(folder: Path, fields: int = 12) -> Path:
    """Annotated images in `folder`/slide, and their lines."""
    (folder / "slide").mkdir()
    lines = []
    for field in range(fields):
        assert cv2.imwrite(str(folder / "slide" / f"{field}.png"), drawn(field))
        cells = tuple(
            LabelledCell(label=kind, x1_px=x, y1_px=y, x2_px=x + BLOB_PX, y2_px=y + BLOB_PX) for kind, x, y in places(field)
        )
        lines.append(
            LabelledImage(
                path=f"{field}.png",
                width_px=WIDTH_PX,
                height_px=HEIGHT_PX,
                um_per_px=0.13,
                source="slide",
                original=str(field),
                group=field,
                split="test",
                cells=cells,
            )
        )
    write_label_lines(folder / "slide.jsonl", lines)
    return folder / "slide.jsonl"


def today(folder: Path, image_of: Callable[[int], Image | None], fields: int = 12) -> Path:
    (folder / "today").mkdir()
    for field in range(fields):
        image = image_of(field)
        if image is not None:
            assert cv2.imwrite(str(folder / "today" / f"{field}.png"), image)
    return folder / "today"


def qc(folder: Path, bundle: Bundle, *words: object) -> int:
    known, fields = folder / "slide.jsonl", folder / "today"
    return leuko_calib("qc", known, "--fields", fields, "--bundle", bundle.path, "--history", folder / "qc.jsonl", *words)


@pytest.mark.parametrize(
    ("image_of", "words", "code", "found", "known"),
    [
        pytest.param(drawn, [], 0, 48, 48, id="all is as it was"),
        pytest.param(lambda field: drawn(field, (-9, 6)), ["--reference"], 0, 48, 48, id="the slide lies a little off"),
        pytest.param(
            lambda field: drawn(field, (-60, 0)),
            ["--reference"],
            0,
            IN_SIGHT,
            IN_SIGHT,
            id="cells that left the field are not known",
        ),
        pytest.param(lambda field: drawn(field, (-61, 35)), [], 12, 0, 48, id="off, and nobody can say by how much"),
        pytest.param(lambda field: drawn(field, without=2), [], 12, 24, 48, id="half of the cells are gone"),
        pytest.param(lambda field: drawn(field) if field > 5 else None, [], 12, 24, 48, id="half of the fields are missing"),
        pytest.param(
            lambda field: drawn(field, without=0 if field > 5 else 4), ["--reference"], 12, 24, 48, id="half are empty places"
        ),
        pytest.param(lambda field: drawn(field, (120, 0)), ["--reference"], 12, 0, 48, id="the slide lies far off"),
        pytest.param(lambda field: drawn(field, without=1 if field < 5 else 0), [], 10, 43, 48, id="too few to decide"),
    ],
)
def test_what_is_found_decides(
    tmp_path: Path,
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    image_of: Callable[[int], Image | None],
    words: list[object],
    code: int,
    found: int,
    known: int,
) -> None:
    slide(tmp_path)
    today(tmp_path, image_of)
    words = [*words, tmp_path / "slide"] if words else []
    ended = qc(tmp_path, bundle, *words, "--json")
    told = json.loads(capsys.readouterr().out)
    (day,), odd = read_days(tmp_path / "qc.jsonl")
    assert not odd and day.model_dump(mode="json") == {name: told[name] for name in QcDay.model_fields}
    assert (ended, told["found"], told["known"]) == (code, found, known), told
    assert told["false_cells"] == 0 or found == 0
    assert (tmp_path / "qc.png").stat().st_size > 0


def test_a_damaged_field_counts_as_not_found(tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    slide(tmp_path)
    fields = today(tmp_path, drawn)
    for at in range(6):
        (fields / f"{at}.png").write_bytes((fields / f"{at}.png").read_bytes()[:100])
    assert qc(tmp_path, bundle) == 12
    said = capsys.readouterr().out
    assert "a slide that lies otherwise than it did" in said
    assert "24 of 48 known leukocytes" in said and "0.png: the field is failed" in said and "fail; 1 results" in said


def test_days_are_kept_and_drawn(tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    slide(tmp_path)
    today(tmp_path, drawn)
    profile = made_profile().model_copy(
        update={
            "camera": CameraGeometry(width_px=WIDTH_PX, height_px=HEIGHT_PX),
            "pixel_size": pixel_size(),
            "illumination": None,
            "colours": None,
            "thresholds": None,
        }
    )
    write_profile(tmp_path / "p.json", profile)
    history = tmp_path / "deep" / "qc.csv"
    for _ in range(2):
        assert qc(tmp_path, bundle, "--profile", tmp_path / "p.json", "--history", history, "--note", "early, by hand") == 0
    days, _ = read_days(history)
    assert [day.instrument for day in days] == ["bench 3", "bench 3"] and days[0].note == "early, by hand"
    assert "2 results" in capsys.readouterr().out and history.with_suffix(".png").stat().st_size > 0


@pytest.mark.parametrize(
    ("spoil", "words", "code", "says"),
    [
        pytest.param(lambda folder: (folder / "slide.jsonl").write_text(""), [], 7, "is empty", id="no lines"),
        pytest.param(
            lambda folder: (folder / "slide.jsonl").write_text(2 * (folder / "slide.jsonl").read_text()),
            [],
            7,
            "names an image twice",
            id="a field twice",
        ),
        pytest.param(lambda folder: None, ["--reference", "none"], 7, "with --reference", id="no annotated images"),
        pytest.param(lambda folder: None, ["--profile", "none.json"], 3, "none.json cannot be read", id="no profile"),
        pytest.param(
            lambda folder: (folder / "qc.csv").write_text("a,b\n1,2\n"),
            ["--history", "qc.csv"],
            7,
            "another table",
            id="a table",
        ),
        pytest.param(lambda folder: None, ["--picture", "trend.xyz"], 2, "no suffix of a picture", id="no picture"),
        pytest.param(lambda folder: None, ["--picture", "slide.jsonl"], 2, "would overwrite the list", id="its own input"),
        pytest.param(
            lambda folder: (folder / "slide.jsonl").write_text(
                (folder / "slide.jsonl").read_text().replace('"x2_px":', '"x2_px":-', 1)
            ),
            [],
            7,
            "turned inside out",
            id="a box without an area",
        ),
        pytest.param(lambda folder: None, ["--history", "slide.jsonl"], 7, "holds no result", id="the slide as its history"),
        pytest.param(
            lambda folder: (folder / "slide.jsonl").write_bytes(b"\x89PNG"),
            [],
            7,
            "cannot be read as text",
            id="an image as labels",
        ),
        pytest.param(
            lambda folder: [
                cv2.imwrite(str(file), np.full((128, 160, 3), 255, np.uint8)) for file in (folder / "today").iterdir()
            ],
            [],
            7,
            "without binning",
            id="fields of another size",
        ),
    ],
)
def test_what_is_no_check_is_a_sentence_and_not_on_record(
    tmp_path: Path,
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    words: list[str],
    code: int,
    says: str,
) -> None:
    slide(tmp_path, 3)
    today(tmp_path, drawn, 3)
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path)
    assert qc(tmp_path, bundle, *words) == code
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not (tmp_path / "qc.jsonl").exists()


@pytest.mark.parametrize(
    ("found", "known", "verdict"),
    [(100, 100, "pass"), (97, 100, "pass"), (95, 100, "not decided"), (80, 100, "fail"), (3, 3, "not decided"), (0, 3, "fail")],
)
def test_the_limits_decide(found: int, known: int, verdict: str) -> None:
    assert SlideCount(known=known, found=found).verdict(0.9) == verdict


def test_how_many_cells_would_decide() -> None:
    enough = SlideCount(known=20, found=20).enough(0.9)
    assert enough is not None and 30 <= enough <= 45
    assert SlideCount(known=10, found=9).enough(0.9) is None


def day(found: int = 48, note: str = "") -> QcDay:
    return QcDay(
        measured_at="2026-01-01T06:00:00+00:00",
        verdict="pass",
        minimum=0.9,
        known=48,
        found=found,
        share=found / 48,
        low=0.9,
        high=1,
        typed_known=48,
        typed_found=40,
        false_cells=0,
        fields=12,
        fields_not_usable=0,
        off_um=0.2,
        instrument="bench 3",
        bundle_id=SHA,
        reference_sha256=SHA,
        engine="auto",
        note=note,
    )


@pytest.mark.parametrize("name", ["qc.jsonl", "qc.csv"])
def test_a_history_survives_what_was_cut_off_and_a_full_disk(tmp_path: Path, name: str) -> None:
    history = tmp_path / name
    append_day(history, day(note='with "quotes", commas\nand a line'))
    whole = history.read_bytes()
    history.write_bytes(whole + whole[-40:-20])  # a power cut within a line
    append_day(history, day(47))
    days, odd = read_days(history)
    assert [each.found for each in days] == [48, 47] and len(odd) == 1
    before = history.read_bytes()
    with files_limited_to(len(before) + 30), pytest.raises(ProfileError, match="it is as it was before"):
        append_day(history, day(46))
    assert history.read_bytes() == before


def _append_many(history: Path) -> None:
    for found in range(20):
        append_day(history, day(found))


@pytest.mark.parametrize("name", ["qc.jsonl", "qc.csv"])
def test_two_that_append_at_once_leave_whole_lines(tmp_path: Path, name: str) -> None:
    both = [multiprocessing.get_context("spawn").Process(target=_append_many, args=(tmp_path / name,)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    days, odd = read_days(tmp_path / name)
    assert len(days) == 40 and not odd


def test_another_table_is_left_alone(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("name,age\n")
    with pytest.raises(DataError, match="another table"):
        append_day(table, day())
    assert table.read_text() == "name,age\n"


def test_today_s_images_may_lie_in_another_folder_and_not_be_called_otherwise(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that match nowhere are a slip, and no instrument that finds nothing."""
    slide(tmp_path, 3)
    lines = [json.loads(line) for line in (tmp_path / "slide.jsonl").read_text().splitlines()]
    (tmp_path / "slide.jsonl").write_text("".join(json.dumps(line | {"path": f"our/{line['path']}"}) + "\n" for line in lines))
    (tmp_path / "slide").rename(tmp_path / "our")
    fields = today(tmp_path, drawn, 3)
    assert qc(tmp_path, bundle, "--reference", tmp_path) in {0, 10}
    assert json.loads((tmp_path / "qc.jsonl").read_text())["fields_not_usable"] == 0
    for file in fields.iterdir():
        file.rename(fields / f"scan_{file.name}")
    assert qc(tmp_path, bundle) == 7
    assert "none of the 3 fields of the reference slide is in" in capsys.readouterr().err
    assert len((tmp_path / "qc.jsonl").read_text().splitlines()) == 1, "no result, no line"
