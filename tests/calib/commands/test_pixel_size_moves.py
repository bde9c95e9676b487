"""`leuko-calib pixel-size` from stage moves, and what must agree with a scale."""

import json
from pathlib import Path

import cv2
import pytest
from support.calib_here import leuko_calib
from support.micrometer import Micrometer, draw
from support.moved_fields import moved
from support.red_cell_fields import Smear, draw_smear

from edge.contracts.profile import load_profile

POSITIONS = [(0.0, 0.0), (20.0, 0.0), (0.0, 15.0)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of stage moves, two images of a micrometer, one of another objective, ordinary fields; 0.13 um/px."""
    folder = tmp_path_factory.mktemp("bench")
    rows = ["image,x_um,y_um"]
    for each in moved(POSITIONS):
        cv2.imwrite(str(folder / each.name), each.image)
        rows.append(f"{each.name},{each.x_um},{each.y_um}")
    (folder / "moves.csv").write_text("\n".join(rows) + "\n")
    for name, factor in (("nanometres", 1000), ("millimetres", 0.001)):
        lines = [f"{each.name},{factor * each.x_um},{factor * each.y_um}" for each in moved(POSITIONS)]
        (folder / f"{name}.csv").write_text("\n".join([rows[0], *lines]) + "\n")
    for name, spacing_px in (("scale", 76.92), ("again", 76.92), ("other", 60.0)):
        cv2.imwrite(str(folder / f"{name}.png"), draw(Micrometer(spacing_px=spacing_px, rotation_deg=3)))
    (folder / "fields").mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / "fields" / f"{index}.png"), draw_smear(Smear(), index))
    return folder


def test_moves_become_a_profile(bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "profile.json"
    asked = [str(bench / "moves.csv"), "--out", str(out), "--check-with", str(bench / "fields"), "--json"]
    assert leuko_calib("pixel-size", *asked) == 0
    said = json.loads(capsys.readouterr().out)
    profile, digest = load_profile(out)
    assert said["profile_sha256"] == digest
    assert profile.measured_scale.um_per_px == said["um_per_px"] == pytest.approx(0.13, rel=0.002)
    assert (profile.measured_scale.stage_pairs, profile.measured_scale.lines_found) == (3, None)


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        pytest.param("scale.png --line-spacing-um 10 --again {bench}/again.png", 0, "", id="two images agree"),
        pytest.param("scale.png --line-spacing-um 10 --check-with {bench}/fields", 0, "", id="red cells agree"),
        pytest.param(
            "scale.png --line-spacing-um 10 --again {bench}/other.png", 7, "two images do not agree", id="two objectives"
        ),
        pytest.param(
            "scale.png --line-spacing-um 100 --check-with {bench}/fields",
            7,
            "red cells of",
            id="the spacing is ten times too large",
        ),
        pytest.param("scale.png", 2, "--line-spacing-um", id="no spacing"),
        pytest.param("moves.csv --line-spacing-um 10", 2, "not for stage moves", id="a spacing for moves"),
        pytest.param("nanometres.csv", 7, "positions in micrometres", id="positions in nm"),
        pytest.param("millimetres.csv", 7, "positions in micrometres", id="positions in mm"),
        pytest.param("scale.png --line-spacing-um 0.1", 2, "is no microscope image", id="the spacing in another unit"),
        pytest.param("none.csv", 7, "cannot be read as UTF-8 text", id="no table"),
    ],
)
def test_what_must_agree(
    bench: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    code: int,
    says: str,
) -> None:
    out = tmp_path / "profile.json"
    first, *others = asked.format(bench=bench).split()
    assert leuko_calib("pixel-size", bench / first, *others, "--out", out) == code
    assert says in capsys.readouterr().err
    assert out.exists() == (code == 0)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        pytest.param("image,x_um\na.png,1\n", "no column y_um", id="a column is missing"),
        pytest.param("image,x_um,y_um\na.png,1,far\n", "line 2 of", id="no number"),
        pytest.param("image,x_um,y_um\n,1,2\n", "line 2 of", id="no name"),
        pytest.param("image,x_um,y_um\na.png,1,5,2,5\n", "with a point, not a comma", id="decimal commas"),
        pytest.param("image,x_um,y_um\n", "names no image", id="no rows"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, says: str
) -> None:
    (tmp_path / "moves.csv").write_text(table)
    assert leuko_calib("pixel-size", tmp_path / "moves.csv", "--out", tmp_path / "p.json") == 7
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
