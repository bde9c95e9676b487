"""Boxes fitted to cells of known sizes, held against the trainer's own and taken up by it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.calib_here import leuko_calib

from calib.box_report import fit_boxes
from calib.box_shapes import SYSTEMS, best_overlap, fit_anchors, ssd_shapes_px
from edge.contracts.label_lines import LabelledCell, LabelledImage, write_label_lines
from trainer.models.default_boxes import default_boxes
from trainer.models.ssd import Ssd300, Ssd512
from trainer.recipe import load_recipe

pytestmark = pytest.mark.timeout(60)


def image(
    cells: list[tuple[float, float]], um_per_px: float = 0.13, label: str = "lymphocyte", at_px: float = 100
) -> LabelledImage:
    """Cells of these widths and heights in um, from `at_px` on."""
    return LabelledImage(
        path="a.png",
        width_px=4000,
        height_px=4000,
        um_per_px=um_per_px,
        source="bench",
        original="a",
        group=0,
        split="train",
        cells=tuple(
            LabelledCell(label=label, x1_px=at_px, y1_px=at_px, x2_px=at_px + w / um_per_px, y2_px=at_px + h / um_per_px)
            for w, h in cells
        ),
    )


def lab(seed: int = 0, n: int = 400) -> list[tuple[float, float]]:
    """Round cells of two kinds, 9 and 16 um across."""
    rng = np.random.default_rng(seed)
    middle = np.where(rng.random(n) < 0.5, 9.0, 16.0)
    return [(float(m * a), float(m * b)) for m, a, b in zip(middle, *rng.normal(1, 0.05, (2, n)), strict=True)]


@pytest.mark.parametrize("recipe", list(SYSTEMS))
def test_the_trainer_takes_what_was_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str) -> None:
    labels, out = tmp_path / "labels.jsonl", tmp_path / "fitted.yaml"
    write_label_lines(labels, [image(lab())])
    assert leuko_calib("boxes", labels, "--recipe", recipe, "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fitted"]["mean_best_iou"] > told["reference"]["mean_best_iou"]
    assert told["fitted"]["best_possible_recall"] == 1.0 and told["cells"] == 400
    options = load_recipe(str(out)).options
    if "s_min" in options:
        assert (options["s_min"], options["s_max"]) == (told["s_min"], told["s_max"])
        assert options.get("normalisation") == "caffe", "what the shipped recipe says beside it stays"
    else:
        assert np.allclose(options["anchors_px"], told["shapes_px"])
    assert (tmp_path / "fitted.png").stat().st_size > 0


@pytest.mark.parametrize(("recipe", "kind"), [("ssd300-smin0.2", Ssd300), ("ssd512-smin0.2", Ssd512)])
def test_default_boxes_are_the_trainer_s(recipe: str, kind: type[Ssd300] | type[Ssd512]) -> None:
    system = SYSTEMS[recipe]
    assert system.ratios == kind.ratios
    there = default_boxes(kind.grids, kind.ratios, 0.13, 0.8, kind.size_px).numpy()[:, 2:]
    here = ssd_shapes_px(system, 0.13, 0.8)
    assert {tuple(row) for row in here.round(3).tolist()} == {tuple(row) for row in there.astype(float).round(3).tolist()}


def test_the_scale_of_an_image_does_not_matter() -> None:
    one = fit_boxes([image(lab())], SYSTEMS["yolov3-tiny-416"])
    two = fit_boxes([image(lab()[:200], 0.13), image(lab()[200:], 0.05)], SYSTEMS["yolov3-tiny-416"])
    assert np.allclose(one.shapes_um, two.shapes_um, atol=0.05)


def test_two_kinds_of_cells_are_found_as_two() -> None:
    anchors = fit_anchors(np.asarray(lab()), 2)
    assert anchors == pytest.approx(np.array([[9, 9], [16, 16]]), rel=0.03)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        pytest.param([image(lab(n=99))], "99 whole cells", id="too few"),
        pytest.param([image(lab(), label="ignore")], "0 whole cells", id="regions of which nothing is known"),
        pytest.param([image(lab(), at_px=0)], "0 whole cells", id="all cut by the border"),
    ],
)
def test_what_no_box_can_be_fitted_to_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], images: list[LabelledImage], says: str
) -> None:
    labels, out = tmp_path / "labels.jsonl", tmp_path / "fitted.yaml"
    write_label_lines(labels, images)
    assert leuko_calib("boxes", labels, "--out", out) == 7
    assert says in capsys.readouterr().err and not out.exists()


def test_an_unknown_recipe_names_the_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels.jsonl"
    write_label_lines(labels, [image(lab())])
    assert leuko_calib("boxes", labels, "--recipe", "yolov9", "--out", tmp_path / "x.yaml") == 2
    assert "yolov3-tiny-416" in capsys.readouterr().err


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(1, 300), st.floats(1, 300)), min_size=1, max_size=60), st.integers(1, 9))
def test_anchors_of_any_sizes(sizes: list[tuple[float, float]], n: int) -> None:
    """As many as were asked for, smallest first, within what was measured, the same each time."""
    cells = np.asarray(sizes)
    anchors = fit_anchors(cells, n, starts=2)
    assert anchors.shape == (n, 2) and np.isfinite(anchors).all()
    assert (np.diff(anchors.prod(axis=1)) >= 0).all()
    assert (anchors >= cells.min(axis=0) - 1e-9).all() and (anchors <= cells.max(axis=0) + 1e-9).all()
    assert np.array_equal(anchors, fit_anchors(cells, n, starts=2))
    assert (best_overlap(cells, anchors) <= 1 + 1e-9).all()
