"""Installing an instrument step by step: what is asked, what is left out, and that nothing is ever overwritten."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib
from support.made_profiles import light, made_profile
from support.micrometer import Micrometer, draw

from calib.installation import QUESTIONS, Installation, read_answers
from calib.profile_contents import known_steps
from edge.contracts.errors import ConfigError
from edge.contracts.profile import load_profile, write_profile

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def micrometer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("installed") / "micrometer.png"
    assert cv2.imwrite(str(file), draw(Micrometer()))
    return file


def walked(folder: Path, replies: list[str], may_ask: bool = True) -> tuple[Installation, list[str], list[str]]:
    """The installation after all replies, then empty ones; what was asked; what was said."""
    left, asked, said = list(replies), [], []

    def ask(question: str) -> str:
        asked.append(question)
        return left.pop(0) if left else ""

    installation = Installation(folder, ask, said.append)
    installation.walk({}, may_ask)
    return installation, asked, said


def test_it_asks_in_order_and_goes_on_where_it_was(
    tmp_path: Path, micrometer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, asked, said = walked(tmp_path / "bench", ["bench 3", "50x/0.95", str(micrometer), "10"])
    assert "name of the instrument" in asked[0] and "micrometer" in asked[2]
    assert first.path == tmp_path / "bench" / "1-pixel_size.json" and said[0] == "um/px: done"
    assert first.profile is not None and first.profile.instrument == "bench 3" and first.profile.camera.objective == "50x/0.95"
    before = first.path.read_bytes()
    second, asked, said = walked(tmp_path / "bench", [])
    assert second.path == first.path and said[0] == "um/px: done" and first.path.read_bytes() == before
    assert not any("micrometer" in question for question in asked)
    assert {part.step.part for part in second.missing()} == {step.part for step in known_steps()} - {"pixel_size"}


def test_what_fails_is_said_and_asked_again(tmp_path: Path, micrometer: Path) -> None:
    blank = tmp_path / "blank.png"
    assert cv2.imwrite(str(blank), np.full((400, 500, 3), 200, np.uint8))
    replies = ["bench", "50x", str(blank), "10", str(micrometer), "ten", str(micrometer), "10"]
    installation, _, said = walked(tmp_path / "bench", replies[:6])
    assert "shows no lines" in said[0] and "'ten' and must be a number above 0" in said[1] and installation.path is None
    installation, _, said = walked(tmp_path / "bench", [*replies[:4], *replies[6:]])
    assert "shows no lines" in said[0] and said[1] == "um/px: done" and installation.path is not None


def test_without_a_profile_later_steps_say_so(tmp_path: Path) -> None:
    installation, _, said = walked(tmp_path / "bench", ["bench", "50x", "", "", "", "stack/", "0.25"])
    assert "um/px: left out, because nothing was given for it." in said
    assert "focus: left out, because there is no profile yet; um/px comes first." in said
    assert installation.path is None and len(installation.missing()) == len(known_steps())


def test_a_scale_that_comes_late_is_put_into_the_profile(tmp_path: Path, micrometer: Path) -> None:
    folder = tmp_path / "bench"
    folder.mkdir()
    height_px, width_px = draw(Micrometer()).shape[:2]
    profile = made_profile()
    camera = profile.camera.model_copy(update={"width_px": width_px, "height_px": height_px})
    write_profile(folder / "1-illumination.json", profile.model_copy(update={"pixel_size": None, "camera": camera}))
    installation, _, said = walked(folder, [str(micrometer), "10"])
    assert said[0] == "um/px: done" and installation.path == folder / "2-pixel_size.json"
    assert installation.profile is not None and installation.profile.stage == profile.stage and not installation.missing()


def test_all_that_is_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_profile(tmp_path / "7-thresholds.json", made_profile())
    assert leuko_calib("all", tmp_path, "--yes") == 0
    assert "going on from" in capsys.readouterr().out
    write_profile(tmp_path / "10-illumination.json", made_profile().model_copy(update={"illumination": light(days=-1)}))
    assert leuko_calib("all", tmp_path, "--yes") == 10
    said = capsys.readouterr().out
    assert "10-illumination.json" in said and "light: expired (`leuko-calib illumination`)" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["10-illumination.json", "7-thresholds.json"]


def test_a_script_answers(tmp_path: Path, micrometer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "a.yaml"
    answers.write_text(
        f"instrument: {{name: bench 4, objective: 50x/0.95}}\npixel_size: {{image: {micrometer}, line_spacing_um: 10}}\n"
        f"stage: {{grid: {tmp_path / 'none'}, moves: {tmp_path / 'none.csv'}}}\nfocus: {{stack: stack}}\n"
    )
    assert leuko_calib("all", tmp_path / "bench", "--answers", answers, "--yes") == 10
    said = capsys.readouterr().out
    assert "um/px: done" in said and "does not exist" in said and "lacks `step_um`" in said and "stage: missing" in said
    assert load_profile(tmp_path / "bench" / "1-pixel_size.json")[0].instrument == "bench 4"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("stages: {grid: a}\n", "`stages`, which is no step", id="no step"),
        pytest.param("stage: {folder: a}\n", "`folder` for stage, which asks for grid, moves", id="no question"),
        pytest.param("stage: grid\n", "one block of `key: value` lines", id="no block"),
        pytest.param("- stage\n", "one block of `key: value` lines", id="a list"),
    ],
)
def test_answers_that_are_none_are_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_answers(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_answers(tmp_path / "none.yaml")


def test_where_nothing_can_be_asked_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", (tmp_path / "in").open("w+"))
    assert leuko_calib("all", tmp_path / "bench") == 2
    assert "so nothing can be asked" in capsys.readouterr().err


def test_every_step_that_can_be_measured_is_asked_for() -> None:
    assert {step.part for step in known_steps()} == set(QUESTIONS) - {"instrument"}
