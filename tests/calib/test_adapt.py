"""`leuko-calib adapt` on made-up laboratories: what it chooses, and that the trainer reads what it writes."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calib.annotation_set import CLASSES, label_words, names_of
from calib.command_list import app
from calib.field_doubts import DoubtfulField
from calib.image_choice import ChosenField, choose, slides_of
from edge.contracts.cells import INDEX
from edge.contracts.detections import Cells, Image
from edge.contracts.errors import ConfigError, DataError
from edge.virtual import SlideSettings, VirtualSlide

pytestmark = pytest.mark.timeout(120)

N_SLIDES, N_FIELDS = 3, 4


def cells(*rows: tuple[str, float, bool]) -> Cells:
    n = len(rows)
    boxes = [[10.0 + 50 * k, 10, 50 + 50 * k, 60] for k in range(n)]
    return Cells(
        boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
        presence=np.array([presence for _, presence, _ in rows], np.float32),
        scores=np.array([presence for _, presence, _ in rows], np.float32),
        classes=np.array([INDEX[name] for name, _, _ in rows], np.int32),
        runner_up=np.full(n, -1, np.int32),
        margins=np.ones(n, np.float32),
        identified=np.array([sure for _, _, sure in rows], bool),
    )


def field(number: int, doubt: float, found: Cells, look: int | None = None) -> DoubtfulField:
    """`look`: fields of one number show the same."""
    shown = np.eye(1000, dtype=np.float32)[number if look is None else look]
    return DoubtfulField(number, f"f{number}.png", 0.13, 300, 200, found, shown, np.zeros(3, np.float32), doubt, ["doubt"])


ONE, NONE = cells(("monocyte", 0.9, True)), cells()


def test_slides_take_turns_each_with_its_most_doubtful_field() -> None:
    fields = [field(k, 1 + k / 100, ONE) for k in range(30)]
    chosen = choose(fields, ["a"] * 24 + ["b"] * 4 + ["c"] * 2, 9)
    assert Counter(each.slide for each in chosen) == {"a": 3, "b": 4, "c": 2}
    assert [each.field.number for each in chosen] == [21, 22, 23, 24, 25, 26, 27, 28, 29], "in the source's order"


def test_some_fields_in_which_nothing_was_found_are_among_them() -> None:
    fields = [field(k, 1.0, ONE) for k in range(40)] + [field(k, 0.0, NONE) for k in range(40, 80)]
    chosen = choose(fields, [f"s{k % 4}" for k in range(80)], 20)
    empty = [each for each in chosen if not len(each.field.cells)]
    assert len(chosen) == 20 and len(empty) == 3
    assert len({each.slide for each in empty}) == 3
    assert choose(fields, ["s"] * 80, 20) == choose(fields, ["s"] * 80, 20), "the same choice every time"


def test_what_shows_the_same_is_chosen_once_and_few_fields_are_said_to_be_few() -> None:
    fields = [field(k, 1.0, ONE, look=k // 5) for k in range(20)]
    assert [each.field.number for each in choose(fields, ["s"] * 20, 10)] == [0, 5, 10, 15]


def test_a_run_without_doubts_is_filled_up() -> None:
    fields = [field(k, 0.0, ONE if k % 2 else NONE) for k in range(10)]
    chosen = choose(fields, ["s"] * 10, 8)
    assert len(chosen) == 8
    assert sum(not len(each.field.cells) for each in chosen) == 3


@pytest.mark.parametrize(
    ("names", "pattern", "slides"),
    [
        pytest.param(["B-30_0101.jpg", "B-30_0102.jpg", "M-8_0001.jpg", "M-8_9.jpg"], None, "B-30 B-30 M-8 M-8", id="by-name"),
        pytest.param(["a/1.png", "a/2.png", "b/1.png"], None, "a a b", id="by-folder"),
        pytest.param(["1.png", "2.png", "3.png"], None, "  ", id="numbers-alone-are-of-one-slide"),
        pytest.param(["field_1.png", "field_2.png"], None, "field field", id="one-prefix-is-one-slide"),
        pytest.param(["x9.png", "y9.png"], None, " ", id="names-that-all-differ-name-fields"),
        pytest.param(["A7-1.png", "A8-1.png"], r"(\w+)-", "A7 A8", id="as-the-user-says"),
    ],
)
def test_the_slide_of_a_field(names: list[str], pattern: str | None, slides: str) -> None:
    assert slides_of(names, pattern) == slides.split(" ")


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        pytest.param("(", ConfigError, id="no-expression"),
        pytest.param("A7", DataError, id="without-a-group"),
        pytest.param("(B)", DataError, id="that-does-not-match"),
    ],
)
def test_an_expression_that_tells_no_slide_is_refused(pattern: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="--slide-by"):
        slides_of(["A7-1.png"], pattern)


def test_what_the_model_is_unsure_of_teaches_no_type() -> None:
    found = cells(("monocyte", 0.9, True), ("monocyte", 0.4, False), ("nrbc", 0.4, False))
    assert label_words(found) == ["monocyte", "untyped_wbc", "ignore"]


def test_names_tell_the_slide_and_are_not_twice_there() -> None:
    chosen = [ChosenField(field(k, 1, ONE), slide, ()) for k, slide in enumerate(("A__7/ä", "a_7", "A 7"))]
    for each, name in zip(chosen, ("x.png", "x.tif", "dir/x.png"), strict=True):
        each.field.name = name
    names = names_of(chosen)
    assert len({name.casefold() for name in names}) == 3
    assert all(name.count("__") == 1 and name.isascii() for name in names)


def blue(image: Image) -> Image:
    """Another laboratory's stain and lamp."""
    return np.asarray((image.astype(np.float32) * (1.05, 0.92, 0.8) + (8, 0, 0)).clip(0, 255), np.uint8)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recoloured slides, a folder each, and one field of the first twice."""
    root = tmp_path_factory.mktemp("laboratory")
    for slide in range(N_SLIDES):
        drawn = VirtualSlide(SlideSettings(seed=slide, wbc_per_field_mean=1.5))
        folder = root / f"slide{slide}"
        folder.mkdir()
        for number in range(N_FIELDS):
            image = blue(drawn.render(200.0 * number, 50.0 * slide).image)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            if slide == number == 0:
                cv2.imwrite(str(folder / "again.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return root


def leuko_calib(*arguments: object) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["adapt", *map(str, arguments)], catch_exceptions=False)
    return ran.exit_code, ran.stdout


@pytest.mark.parametrize("as_format", ["yolo", "coco"])
def test_a_laboratory_is_made_ready_and_the_trainer_reads_it(laboratory: Path, tmp_path: Path, as_format: str) -> None:
    from trainer.data.datasets import load_datasets
    from trainer.data.init_description import found_in

    out = tmp_path / "lab"
    given = (f"{laboratory}/*/*", "--um-per-px", 0.13, "--images", 8, "--out", out, "--format", as_format, "--json")
    code, said = leuko_calib(*given)
    assert code == 0
    result = json.loads(said)
    assert result["looked_at"] == N_SLIDES * N_FIELDS + 1 and result["slides"] == N_SLIDES
    assert len(result["chosen"]) == 8 and all(each["why"] for each in result["chosen"])
    assert len({each["slide"] for each in result["chosen"]}) == N_SLIDES
    assert not {"slide0/0.png", "slide0/again.jpg"} <= {each["field"] for each in result["chosen"]}, "a copy"
    fit, export = result["commands"]
    assert f"--data {out / 'adapt.yaml'} --root {out} --split-by grouped:0.3" in fit and "last.pt" in export
    rows = load_datasets(out / "adapt.yaml", out, "grouped:0.3")
    assert {row.split for row in rows} == {"train", "test"} and len(rows) == 8
    slides = {split: {row.original.partition("__")[0] for row in rows if row.split == split} for split in ("train", "test")}
    assert not slides["train"] & slides["test"], "whole slides are held back"
    assert {row.um_per_px for row in rows} == {0.13}
    kind, _, names = found_in(out)
    assert kind == as_format and set(names) <= set(CLASSES)
    with (out / "chosen.csv").open(newline="") as stream:
        listed = {row["image"]: row for row in csv.DictReader(stream)}
    for row in rows:
        assert int(listed[row.path.name]["cells"]) >= len(row.labels)
        name = listed[row.path.name]["field"]
        assert np.array_equal(cv2.imread(str(row.path)), cv2.imread(str(laboratory / name))), "the pixels that the model saw"


MISTAKES = [
    pytest.param(["{lab}/slide0"], "how large a pixel is", 2, id="no-scale"),
    pytest.param(["{lab}/nowhere", "--um-per-px", "0.13"], "nowhere", 4, id="no-source"),
    pytest.param(["virtual:seed=1,trigger=software"], "cannot be read a second time", 7, id="a-camera"),
    pytest.param(["{lab}/slide0", "--um-per-px", "0.13", "--slide-by", "(x)"], "does not match --slide-by", 7, id="no-slide"),
    pytest.param(["{lab}/slide0", "--um-per-px", "0.13", "--out", "{lab}"], "may hold annotations", 2, id="a-folder-in-use"),
    pytest.param(["{lab}/slide0", "--um-per-px", "0.13", "--profile", "p.json"], "not both", 2, id="two-scales"),
]


@pytest.mark.parametrize(("given", "sentence", "code"), MISTAKES)
def test_a_mistake_is_one_sentence(laboratory: Path, tmp_path: Path, given: list[str], sentence: str, code: int) -> None:
    import subprocess
    import sys

    words = [word.replace("{lab}", str(laboratory)) for word in given]
    words += [] if "--out" in words else ["--out", str(tmp_path / "out")]
    ran = subprocess.run(
        [sys.executable, "-m", "calib.cli", "adapt", *words],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "COLUMNS": "400"},
        check=False,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (code, 1), ran.stderr
    assert sentence in ran.stderr


def test_fields_of_one_slide_are_said_to_be_too_few_slides(laboratory: Path, tmp_path: Path) -> None:
    code, said = leuko_calib(laboratory / "slide1", "--um-per-px", 0.13, "--images", 9, "--out", tmp_path / "one")
    assert code == 0
    assert "whole slides have to be held back, and a training on one alone is refused" in said and "only 4 of 4 fields" in said
    assert "leuko-train" not in said, "a command that would be refused"
