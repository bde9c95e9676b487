"""The example that draws a contact sheet shows what it was asked for, or says in a sentence why it cannot."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

_SHEET = Path(__file__).parents[3] / "examples" / "contact_sheet.py"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three pictures, one of them damaged; an odd number, which is the one to be cut."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((40, 50, 3), 60 * index, np.uint8))
    (folder / "3.png").write_bytes(b"no image")
    return folder


def _drawn(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(_SHEET), *arguments], capture_output=True, text=True, timeout=50, check=False)


def test_photographs_are_shown_beneath_the_cells(tmp_path: Path, photographs: Path) -> None:
    out = tmp_path / "sheet.png"
    done = _drawn(str(out), "--beside", str(photographs))
    assert done.returncode == 0, done.stderr
    sheet = cv2.imread(str(out))
    assert sheet is not None
    assert sheet.shape == (15 * 180 + 2 * 574, 2 * 732, 3), "two rows of photographs, the third one too"
    assert "left out: 3.png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("sheet.png", "--beside", "nowhere"), "nowhere does not exist", id="no such folder"),
        pytest.param(("sheet.png", "--beside", "."), "holds no image file", id="no picture in it"),
        pytest.param(("sheet.sheet",), "end it in .png", id="no picture's suffix"),
    ],
)
def test_what_cannot_be_shown_is_said(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = _drawn(*arguments)
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
