"""`leuko-calib scale-check`: what it says of fields whose red cells are known, and its exit codes."""

import json
from pathlib import Path

import cv2
import pytest
from support.calib_here import leuko_calib
from support.red_cell_fields import Smear, draw_smear

from edge.quality.red_cell_scale import USUAL_UM


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), draw_smear(Smear(), index))
    return folder


@pytest.mark.parametrize(
    ("stated", "code", "says"),
    [
        pytest.param(["--um-per-px", "0.13"], 0, "does not contradict", id="right"),
        pytest.param(["--um-per-px", "0.2"], 10, "too large and would be 0.1", id="wrong"),
        pytest.param([], 0, "most likely 0.1", id="nothing stated"),
    ],
)
def test_it_says_what_the_red_cells_show(
    fields: Path, capsys: pytest.CaptureFixture[str], stated: list[str], code: int, says: str
) -> None:
    assert leuko_calib("scale-check", fields, *stated) == code
    assert says in capsys.readouterr().out


def test_one_object_of_json_and_a_picture(fields: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "cells.png"
    asked = [str(fields), "--um-per-px", "0.2", "--json", "--picture", str(picture)]
    assert leuko_calib("scale-check", *asked) == 10
    found = json.loads(capsys.readouterr().out)
    assert found["um_per_px"] == pytest.approx(USUAL_UM / Smear().diameter_px, rel=0.05)
    assert found["um_per_px_least"] < found["um_per_px"] < found["um_per_px_most"]
    assert found["contradicts"] is True
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert ((drawn[:, :, 2] > 200) & (drawn[:, :, 1] < 80)).sum() > 1000


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(
            ["{fields}", "--fields", "1", "--um-per-px", "0.13"], 7, "single red cells were found in 1 field", id="few"
        ),
        pytest.param(["{fields}/none"], 4, "none", id="no such folder"),
        pytest.param(["{fields}", "--picture", "{fields}/cells.unknown"], 2, "no suffix of an image", id="no image's name"),
        pytest.param(["{fields}", "--um-per-px", "0.13", "--profile", "p.json"], 2, "not both", id="two scales"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(
    fields: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    assert leuko_calib("scale-check", *(part.format(fields=fields) for part in arguments)) == code
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
