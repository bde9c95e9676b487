"""`leuko-calib scale-check`: what it says of fields whose red cells are known, and its exit codes."""

import json
import sys
from pathlib import Path

import cv2
import pytest
from support.red_cell_fields import Smear, draw_smear

from calib.cli import main
from edge.quality.red_cell_scale import USUAL_UM


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), draw_smear(Smear(), index))
    return folder


def _said(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["leuko-calib", "scale-check", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("stated", "code", "says"),
    [
        pytest.param(["--um-per-px", "0.13"], 0, "does not contradict", id="right"),
        pytest.param(["--um-per-px", "0.2"], 10, "too large and would be 0.1", id="wrong"),
        pytest.param([], 0, "most likely 0.1", id="nothing stated"),
    ],
)
def test_it_says_what_the_red_cells_show(
    fields: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stated: list[str], code: int, says: str
) -> None:
    assert _said([str(fields), *stated], monkeypatch) == code
    assert says in capsys.readouterr().out


def test_one_object_of_json_and_a_picture(
    fields: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "cells.png"
    asked = [str(fields), "--um-per-px", "0.2", "--json", "--picture", str(picture)]
    assert _said(asked, monkeypatch) == 10
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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    assert _said([part.format(fields=fields) for part in arguments], monkeypatch) == code
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
