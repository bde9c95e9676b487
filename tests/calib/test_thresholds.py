"""Thresholds and probabilities from cells whose truth is known; what too few of them can say, and what the edge makes of it."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_profiles as made
from support.calib_here import leuko_calib, profile_file
from support.tiny_bundle import blob_field, write_tiny_bundle

from calib.labelled_cells import FALSE, LabelledCells
from calib.operating_points import cells_wanted, choose_detect, choose_identify, folds_of, measured
from calib.score_calibration import calibrate, expected_error, reliability
from calib.threshold_profile import doubts_of_labels
from edge.contracts.bundle import Thresholds
from edge.contracts.cells import INDEX, NAMES
from edge.contracts.colours import COLOUR_TRANSFORM, Colours
from edge.contracts.errors import DataError
from edge.contracts.label_lines import LabelledCell, LabelledImage, write_label_lines
from edge.contracts.profile import CameraGeometry, Profile, load_profile, write_profile
from edge.settings.resolution import resolve
from edge.virtual.slide import SlideSettings, VirtualSlide

pytestmark = pytest.mark.timeout(120)
LYM, MON, EO, NRBC = (INDEX[name] for name in ("lymphocyte", "monocyte", "eosinophil", "nrbc"))


def cells(
    presence: list[float], truth: list[int], best: list[int] | None = None, score: list[float] | None = None, missed: int = 0
) -> LabelledCells:
    """Each its own group; all of a margin that is enough. `missed` more annotated lymphocytes are found by nobody."""
    n = len(presence)
    found = [(at, truth[at], at) for at in range(n) if truth[at] != FALSE]
    called = best if best is not None else [LYM] * n
    return LabelledCells(
        group=np.arange(n, dtype=np.int32),
        presence=np.asarray(presence, np.float32),
        score=np.asarray(score if score is not None else presence, np.float32),
        margin=np.full(n, 0.9, np.float32),
        best=np.asarray(called, np.int32),
        truth=np.asarray(truth, np.int32),
        identified=np.ones(n, np.bool_),
        annotated=np.asarray([*found, *((n + k, LYM, -1) for k in range(missed))], np.int32).reshape(-1, 3),
    )


@pytest.mark.parametrize(
    ("presence", "truth", "floor", "detect"),
    [
        pytest.param([0.9] * 120, [LYM] * 120, 0.97, 0.05, id="nothing is false: the lowest there is"),
        pytest.param([0.9] * 120 + [0.2] * 30, [LYM] * 120 + [FALSE] * 30, 0.97, 0.21, id="false ones are fainter"),
        pytest.param([0.9] * 120 + [0.2] * 30, [LYM] * 120 + [FALSE] * 30, 0.75, 0.05, id="and may be counted"),
        pytest.param([0.9] * 120 + [0.2] * 30, [LYM] * 120 + [NRBC] * 30, 0.97, 0.21, id="another cell is no leukocyte"),
        pytest.param([0.9] * 120 + [0.2] * 30, [LYM] * 120 + [-1] * 30, 0.97, 0.05, id="an untyped leukocyte is one"),
    ],
)
def test_the_lowest_threshold_that_is_precise_enough(
    presence: list[float], truth: list[int], floor: float, detect: float
) -> None:
    assert choose_detect(cells(presence, truth), floor) == detect


@pytest.mark.parametrize(
    ("presence", "truth", "says"),
    [
        pytest.param([0.9] * 99, [LYM] * 99, "99 leukocytes are annotated", id="too few"),
        pytest.param([0.9] * 200, [LYM] * 100 + [FALSE] * 100, "the best: 50.0%", id="no threshold tells them apart"),
    ],
)
def test_what_cannot_be_chosen_is_a_sentence(presence: list[float], truth: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        choose_detect(cells(presence, truth), 0.97)


def test_each_class_is_chosen_kept_or_named() -> None:
    known = cells(
        presence=[0.9] * 150,
        best=[LYM] * 60 + [MON] * 70 + [EO] * 20,
        truth=[LYM] * 40 + [MON] * 20 + [MON] * 30 + [LYM] * 40 + [EO] * 20,
        score=[0.8] * 40 + [0.3] * 20 + [0.6] * 70 + [0.9] * 19 + [0.02],
    )
    by_name = {one.name: one for one in choose_identify(known, Thresholds(detect=0.3, identify=0.5), 0.9)}
    assert (by_name["lymphocyte"].state, by_name["lymphocyte"].identify, by_name["lymphocyte"].called) == ("chosen", 0.31, 40)
    assert (by_name["monocyte"].state, by_name["monocyte"].identify) == ("not reached", 0.5)
    assert by_name["eosinophil"].state == "not reached", "19 of its cells remain at any score that is tried"
    assert {by_name[name].state for name in NAMES if name not in {"lymphocyte", "monocyte", "eosinophil"}} == {"too few"}
    assert by_name["monocyte"].wanted is None and by_name["lymphocyte"].wanted == 36


@pytest.mark.parametrize(
    ("precision", "floor", "wanted"),
    [
        pytest.param(1.0, 0.95, 72, id="all right: 0.025 ** (1 / 72) = 0.95"),
        pytest.param(1.0, 0.9, 36, id="a lower floor is sooner beyond doubt"),
        pytest.param(0.9, 0.9, None, id="never"),
        pytest.param(0.9001, 0.9, None, id="not with any number that one could annotate"),
    ],
)
def test_how_many_cells_are_enough(precision: float, floor: float, wanted: int | None) -> None:
    assert cells_wanted(precision, floor) == wanted


def test_shares_are_those_of_the_cells() -> None:
    known = cells([0.9] * 10, [LYM] * 6 + [MON] * 2 + [FALSE] * 2, missed=2)
    shares = measured(known, rounds=200)
    assert (shares["recall"].hits, shares["recall"].trials) == (8, 10)
    assert (shares["precision"].hits, shares["precision"].trials) == (8, 10)
    assert (shares["typed_recall"].hits, shares["typed_recall"].trials) == (6, 10)
    assert (shares["typed_precision"].hits, shares["typed_precision"].trials) == (6, 10)
    for share in shares.values():
        assert share.limits is not None and share.value is not None and share.limits[0] <= share.value <= share.limits[1]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=80))
def test_folds_keep_groups_whole(groups: list[int]) -> None:
    folds = folds_of(groups)
    assert sorted(group for fold in folds for group in fold) == sorted(set(groups))
    assert len(folds) == min(5, len(set(groups))) and folds == folds_of(groups)


def _overconfident(
    n: int, seed: int
) -> tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """Scores whose logits are twice what they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(1, 1.5, n)
    right = rng.random(n) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-2 * logits)), right


def test_overconfident_scores_become_probabilities() -> None:
    scores, right = _overconfident(2000, 1)
    folds = [np.arange(2000) % 5 == fold for fold in range(5)]
    found = calibrate(scores, right, folds)
    assert found.method == "temperature" and found.error_after < found.error_before / 2 and found.error_after < 0.03
    others, truth = _overconfident(2000, 2)
    knots = np.asarray(found.knots)
    assert expected_error(reliability(np.interp(others, *knots.T), truth)) < 0.04
    assert (np.diff(knots[:, 0]) > 0).all() and (np.diff(knots[:, 1]) >= 0).all()


def test_good_scores_are_left_alone() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(1000)
    right = rng.random(1000) < scores
    found = calibrate(scores, right, [np.arange(1000) % 5 == fold for fold in range(5)])
    assert found.method == "none"
    assert all(score == pytest.approx(probability, abs=0.001) for score, probability in found.knots)


def test_too_few_wrong_cells_make_no_curve() -> None:
    with pytest.raises(DataError, match="19 wrongly"):
        calibrate(np.linspace(0, 1, 100), np.arange(100) >= 19, [np.arange(100) % 2 == 0, np.arange(100) % 2 == 1])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn fields of four slides with their truth, as label lines."""
    root = tmp_path_factory.mktemp("drawn")
    lines = []
    for seed in range(4):
        slide = VirtualSlide(SlideSettings(seed=seed, wbc_per_field_mean=5.0))
        for at in range(8):
            field = slide.render(1000 + 200 * at, 0)
            name = f"{seed}_{at}.png"
            assert cv2.imwrite(str(root / name), field.image)
            rows = zip(field.boxes_px.tolist(), field.labels.tolist(), field.visible_fraction.tolist(), strict=True)
            lines.append(
                LabelledImage(
                    path=name,
                    width_px=732,
                    height_px=574,
                    um_per_px=0.13,
                    source="drawn",
                    original=name,
                    group=seed,
                    split="test",
                    cells=tuple(
                        LabelledCell(label=NAMES[label] if seen > 0.7 else "ignore", x1_px=x1, y1_px=y1, x2_px=x2, y2_px=y2)
                        for (x1, y1, x2, y2), label, seen in rows
                    ),
                )
            )
    write_label_lines(root / "labels.jsonl", lines)
    profile_file(root / "profile.json", (732, 574))
    return root


def test_the_shipped_model_on_drawn_slides(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "after.json"
    words = ["thresholds", drawn / "labels.jsonl", "--root", drawn, "--profile", drawn / "profile.json", "--out", out]
    assert leuko_calib(*words, "--precision", 0.9, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    profile, digest = load_profile(out)
    assert profile.thresholds is not None and profile.thresholds.evidence is not None and told["profile_sha256"] == digest
    assert profile.thresholds.thresholds.detect == told["thresholds"]["detect"]
    evidence = profile.thresholds.evidence
    assert (evidence.images, evidence.groups) == (32, 4)
    assert told["shares"]["recall"]["share"] > 0.8 and told["shares"]["precision"]["share"] > 0.8
    assert "blast" in evidence.too_few


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(["--split", "train"], 2, "no image of", id="a split without an image"),
        pytest.param(["--split", "testing"], 2, "'testing' is no split", id="no split"),
        pytest.param(["--root", "elsewhere"], 7, "(--root is elsewhere)", id="images that are not there"),
    ],
)
def test_what_cannot_be_read_is_named(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    given_root = [] if "--root" in words else ["--root", drawn]
    fixed = ["thresholds", drawn / "labels.jsonl", "--profile", drawn / "profile.json", "--out", tmp_path / "x.json"]
    assert leuko_calib(*fixed, *given_root, *words) == code
    assert says in capsys.readouterr().err


def test_images_get_the_light_and_colours_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thresholds hold for fields in one look: on those that a run does not show they would be laid aside."""
    reference = {"sources": {"ours": {"colours": {"empty": (255, 255, 255), "red_cells": (0, 200, 0)}, "images": 9}}}
    bundle = write_tiny_bundle(tmp_path / "b", colours={"reference_colours": reference, "moved_thresholds": {"detect": 0.45}})
    places, lines = ((8, 8), (64, 8), (112, 8), (8, 72), (64, 72), (112, 72)), []
    for at in range(26):
        # Every grey level is halved: as it comes, the model knows no type in it.
        dimmed = blob_field([("lymphocyte", x, y) for x, y in places]) // 2
        assert cv2.imwrite(str(tmp_path / f"{at}.png"), dimmed)
        truth = tuple(LabelledCell(label="lymphocyte", x1_px=x, y1_px=y, x2_px=x + 32, y2_px=y + 32) for x, y in places)
        about: dict[str, Any] = {"source": "drawn", "original": f"{at}", "group": at, "split": "test"}
        lines.append(LabelledImage(path=f"{at}.png", width_px=160, height_px=128, um_per_px=0.13, cells=truth, **about))
    write_label_lines(tmp_path / "labels.jsonl", lines)
    own = made.colours(None).model_copy(update={"colours": Colours(empty=(127, 127, 127), red_cells=(0, 100, 0))})
    camera = CameraGeometry(width_px=160, height_px=128)
    write_profile(tmp_path / "p.json", Profile(instrument="bench", camera=camera, pixel_size=made.pixel_size(), colours=own))
    words = ["thresholds", tmp_path / "labels.jsonl", "--root", tmp_path, "--bundle", bundle.path, "--profile"]
    after = tmp_path / "after.json"
    assert leuko_calib(*words, tmp_path / "p.json", "--out", after, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["colour_transform"] == COLOUR_TRANSFORM and told["shares"]["recall"]["share"] == 1.0
    setup = resolve({"source": "folder:fields", "bundle": bundle.path, "profile": after})
    assert not any("thresholds of profile" in warning for warning in setup.warnings), "a run with this profile uses them"
    assert setup.settings.thresholds is not None and setup.settings.thresholds.detect == told["thresholds"]["detect"]
    assert leuko_calib(*words, tmp_path / "p.json", "--out", tmp_path / "plain.json", "--correct", "nothing") == 0
    assert "they hold for fields as the camera gives them" in capsys.readouterr().out
    plain = resolve({"source": "folder:fields", "bundle": bundle.path, "profile": tmp_path / "plain.json"})
    assert any("thresholds of profile" in warning for warning in plain.warnings)
    lit = Profile(instrument="bench", camera=camera.model_copy(update={"width_px": 200}), illumination=made.light())
    write_profile(tmp_path / "lit.json", lit)
    assert leuko_calib(*words, tmp_path / "lit.json", "--out", tmp_path / "lit-2.json") == 7
    assert "which part of it the image shows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size_px", "um_per_px", "says"),
    [
        pytest.param((732, 574), 0.13, (), id="of this instrument"),
        pytest.param((732, 574), 0.132, (), id="a rounded um/px"),
        pytest.param((1464, 1148), 0.13, (), id="cut out of its fields"),
        pytest.param((366, 287), 0.13, ("32 of 32 images", "366 x 287 px of the profile's camera"), id="of a larger camera"),
        pytest.param((732, 574), 0.26, ("another um/px (0.13) than the profile's 0.26",), id="of another objective"),
    ],
)
def test_images_of_another_instrument_are_said(
    drawn: Path, tmp_path: Path, size_px: tuple[int, int], um_per_px: float, says: tuple[str, ...]
) -> None:
    profile, _ = load_profile(profile_file(tmp_path / "p.json", size_px, um_per_px))
    found = doubts_of_labels(profile, drawn / "labels.jsonl", ("test",))
    assert len(found) == (1 if says else 0) and all(part in "".join(found) for part in says)
