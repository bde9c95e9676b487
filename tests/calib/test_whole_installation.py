"""An instrument from nothing to a whole profile, by one call; and what stops one that would be wrong from the beginning."""

import signal
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib
from support.micrometer import Micrometer, draw
from support.moved_stage import SIZE_PX, DrawnStage, grid, store, turned
from support.smears import EMPTY, RED, smear
from support.tiny_bundle import BLOB_PX, blob_field, write_tiny_bundle

import calib.installation
from calib.commands.latency import latency
from calib.installation import Installation
from edge.contracts.detections import Image
from edge.contracts.label_lines import LabelledCell, LabelledImage, write_label_lines
from edge.contracts.profile import load_profile

pytestmark = pytest.mark.timeout(240)
WIDTH, HEIGHT = SIZE_PX


def written(folder: Path, images: list[Image]) -> Path:
    folder.mkdir()
    for at, image in enumerate(images):
        assert cv2.imwrite(str(folder / f"{at:02d}.png"), image)
    return folder


def stained(seed: int) -> Image:
    """Red cells of 7 um."""
    drawn = smear(round(WIDTH / 1.25), round(HEIGHT / 1.25), ((120, 120, 36),) if seed % 2 else (), seed=seed)
    return np.asarray(cv2.resize(drawn, SIZE_PX, interpolation=cv2.INTER_CUBIC), np.uint8)


def labelled(folder: Path) -> Path:
    corners, lines = [(40 + 150 * column, 60 + 160 * row) for row in (0, 1) for column in (0, 1, 2)], []
    fields = [blob_field([("lymphocyte", x, y) for x, y in corners], width_px=WIDTH, height_px=HEIGHT)] * 26
    written(folder, fields)
    for at in range(len(fields)):
        cells = tuple(
            LabelledCell(label="lymphocyte", x1_px=x, y1_px=y, x2_px=x + BLOB_PX, y2_px=y + BLOB_PX) for x, y in corners
        )
        about = {"width_px": WIDTH, "height_px": HEIGHT, "um_per_px": 0.13, "source": "drawn", "original": f"{at}"}
        lines.append(LabelledImage(path=f"{at:02d}.png", group=at, split="test", cells=cells, **about))  # type: ignore[arg-type]
    write_label_lines(folder / "labels.jsonl", lines)
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that an installer has taken: the paths in it are those of the answers."""
    folder = tmp_path_factory.mktemp("bench")
    rng = np.random.default_rng(1)
    scale = Micrometer(spacing_px=5 / 0.13, line_px=6, width_px=WIDTH, height_px=HEIGHT)
    assert cv2.imwrite(str(folder / "micrometer.png"), draw(scale))
    blank = np.full((HEIGHT, WIDTH, 3), 230.0)
    written(folder / "blank", [(blank + rng.normal(0, 2, blank.shape)).astype(np.uint8) for _ in range(8)])
    written(folder / "fields", [stained(seed) for seed in range(12)])
    stage, moves = DrawnStage(turned(2)), grid(3, 3)
    images = stage.images(moves)
    store(folder / "grid", images, moves)
    radii_px = [max(0.1, abs(at - 7) * 0.6) for at in range(15)]
    written(folder / "stack", [np.asarray(cv2.GaussianBlur(images[4], (0, 0), radius), np.uint8) for radius in radii_px])
    labelled(folder / "labelled")
    known = {"sources": {"drawn": {"colours": {"empty": EMPTY, "red_cells": RED}, "images": 9}}}
    write_tiny_bundle(folder / "bundle", colours={"reference_colours": known})
    return folder


def answers(bench: Path, file: Path, spacing_um: float = 5) -> Path:
    file.write_text(
        f"""instrument: {{name: bench 3, objective: 50x/0.95}}
pixel_size: {{image: {bench}/micrometer.png, line_spacing_um: {spacing_um}}}
illumination: {{source: "folder:{bench}/blank"}}
colours: {{source: "folder:{bench}/fields"}}
focus: {{stack: "folder:{bench}/stack", step_um: 0.4}}
stage: {{grid: "folder:{bench}/grid", moves: {bench}/grid.csv}}
thresholds: {{labels: {bench}/labelled/labels.jsonl, root: {bench}/labelled}}
latency: {{source: "folder:{bench}/fields", p99_ms: 60000}}
"""
    )
    return file


def test_every_step_in_one_call(
    bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # How fast this machine is at the moment is not what is tested, and the whole sweep takes minutes.
    monkeypatch.setattr("edge.pipeline.paced_run.KEPT", 0.0)
    few = partial(latency, batch="1", deadline_ms="0", rate="200", fields=3, overshoot=1000)
    monkeypatch.setattr(calib.installation, "latency", few)
    words = ["all", tmp_path / "own", "--bundle", bench / "bundle", "--answers", answers(bench, tmp_path / "a.yaml"), "--yes"]
    code = leuko_calib(*words)
    said = capsys.readouterr().out
    assert code == 0, said
    for step in ("um/px", "light", "colours", "focus", "stage", "thresholds", "latency"):
        assert f"{step}: done" in said
    assert "do not contradict it" in said and "7-latency.json; hold it against the camera" in said
    profile, _ = load_profile(tmp_path / "own" / "7-latency.json")
    assert profile.measured_scale.um_per_px == pytest.approx(0.13, rel=0.005)
    assert profile.focus is not None and profile.focus.peak_z_um == pytest.approx(2.8, abs=0.1)
    assert profile.stage is not None and profile.stage.pixel_um == pytest.approx(0.13, rel=0.005)
    before = sorted(file.name for file in (tmp_path / "own").iterdir())
    assert leuko_calib(*words) == 0, "nothing is left to be done"
    assert sorted(file.name for file in (tmp_path / "own").iterdir()) == before


def test_a_slip_in_the_distance_of_lines_does_not_get_past_the_red_cells(
    bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything after it would be wrong by the same factor, and nothing of it would look so."""
    given = answers(bench, tmp_path / "a.yaml", spacing_um=10)
    text = given.read_text()
    given.write_text("".join(line for line in text.splitlines(keepends=True) if line.split(":")[0] in _FIRST))
    assert leuko_calib("all", tmp_path / "own", "--bundle", bench / "bundle", "--answers", given, "--yes") == 10
    said = capsys.readouterr().out
    assert "um/px: done" in said and "do not agree" in said and "begin in another folder" in said
    assert "colours: missing (`leuko-calib colour`)" in said and "the same command asks for what is missing" in said


_FIRST = {"instrument", "pixel_size", "illumination", "colours"}


def test_without_um_per_px_what_needs_it_is_left_out(bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = answers(bench, tmp_path / "a.yaml")
    text = given.read_text().replace("micrometer.png", "none.png")
    given.write_text(
        "".join(line for line in text.splitlines(keepends=True) if line.split(":")[0] not in {"stage", "thresholds"})
    )
    assert leuko_calib("all", tmp_path / "own", "--bundle", bench / "bundle", "--answers", given, "--yes") == 10
    said = capsys.readouterr().out
    for step in ("colours", "focus", "latency"):
        assert f"{step}: left out, because no um/px is known yet; it comes first." in said


def test_what_is_broken_off_says_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Installation, "walk", pressed)
    assert leuko_calib("all", tmp_path / "own", "--yes") == 130
    assert "broken off; nothing was measured, and the same command goes on from there." in capsys.readouterr().out
