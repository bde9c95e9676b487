"""What `check` and `diff` say of profiles: each way in which one no longer stands, and each kind of change with its size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import made_profiles as made
from support.calib_here import leuko_calib
from support.made_profiles import made_profile
from support.tiny_bundle import write_tiny_bundle

from calib.profile_contents import STEPS, known_steps
from calib.profile_difference import differences
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.profile import CameraGeometry, Profile, write_profile

pytestmark = pytest.mark.timeout(60)

Spoil = Callable[[Profile], Profile]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("checked") / "bundle")


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked-fields")
    assert cv2.imwrite(str(folder / "a.png"), np.full((made.HEIGHT_PX, made.WIDTH_PX, 3), 230, np.uint8))
    return folder


def with_(**parts: object) -> Spoil:
    return lambda profile: profile.model_copy(update=parts)


def fitting(bundle: Bundle) -> Profile:
    """Nothing in it for the tiny bundle, which knows no colours, to complain of."""
    um_per_px = bundle.manifest.um_per_px
    return made_profile(bundle.bundle_id).model_copy(
        update={"colours": None, "pixel_size": made.pixel_size(um_per_px), "stage": made.stage(um_per_px)}
    )


def checked(
    profile: Profile, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: object
) -> dict[str, Any]:
    write_profile(tmp_path / "p.json", profile)
    code = leuko_calib("check", tmp_path / "p.json", "--bundle", bundle.path, "--json", *words)
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == code
    return told


def test_a_profile_that_stands_says_so(
    bundle: Bundle, fields: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = checked(fitting(bundle), bundle, tmp_path, capsys, "--source", f"folder:{fields}", "--objective", "50X/0.95")
    assert told["exit_code"] == 0 and told["findings"] == []
    assert told["parts"]["stage"]["measured"] and not told["parts"]["colours"]["measured"]
    assert leuko_calib("check", tmp_path / "p.json", "--bundle", bundle.path) == 0
    said = capsys.readouterr().out
    assert "it stands" in said and "bench 3" in said and "not measured" in said


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        pytest.param(with_(illumination=made.light(days=-1)), 10, "the light of profile", id="light has expired"),
        pytest.param(with_(stage=made.stage(days=-1)), 10, "the stage of profile", id="stage has expired"),
        pytest.param(with_(latency=made.latency(made.SHA)), 10, "not of this machine's engine", id="latency of another bundle"),
        pytest.param(
            with_(illumination=None, colours=made.colours(None)),
            10,
            "does not say which colours",
            id="a bundle without colours",
        ),
        pytest.param(with_(colours=made.colours(None)), 3, "measure them anew", id="colours under another light"),
        pytest.param(with_(pixel_size=None), 10, "has no um/px", id="no scale"),
        pytest.param(with_(pixel_size=made.pixel_size(0.9)), 10, "are far from the", id="another magnification altogether"),
        pytest.param(with_(stage=made.stage(0.2)), 10, "measure the one again that is older", id="stage and scale disagree"),
        pytest.param(
            lambda profile: profile.model_copy(update={"thresholds": made_profile("1" * 64).thresholds}),
            10,
            "were found for another bundle",
            id="thresholds of another bundle",
        ),
        pytest.param(
            with_(camera=CameraGeometry(width_px=366, height_px=287), illumination=made.light()),
            3,
            "the light of profile",
            id="light of another frame size",
        ),
    ],
)
def test_what_no_longer_stands_is_found(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, code: int, says: str
) -> None:
    told = checked(spoil(fitting(bundle)), bundle, tmp_path, capsys)
    assert told["exit_code"] == code
    assert any(says in found["sentence"] for found in told["findings"]), told["findings"]


@pytest.mark.parametrize(
    ("camera", "words", "code", "says"),
    [
        pytest.param(CameraGeometry(width_px=1464, height_px=1148), [], 3, "a binning by 2", id="binned"),
        pytest.param(CameraGeometry(width_px=800, height_px=600), [], 3, "binning or a region", id="another size"),
        pytest.param(
            CameraGeometry(width_px=732, height_px=574, objective="50x/0.95"),
            ["--objective", "100x/1.25"],
            3,
            "with objective 50x/0.95",
            id="another objective",
        ),
    ],
)
def test_a_profile_is_held_against_the_camera(
    bundle: Bundle,
    fields: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    camera: CameraGeometry,
    words: list[str],
    code: int,
    says: str,
) -> None:
    profile = fitting(bundle).model_copy(update={"camera": camera, "illumination": None})
    told = checked(profile, bundle, tmp_path, capsys, "--source", f"folder:{fields}", *words)
    assert told["exit_code"] == code and says in told["findings"][0]["sentence"]


def test_a_source_that_knows_its_own_scale(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--source", "virtual:seed=1,variants=1")
    assert checked(fitting(bundle), bundle, tmp_path, capsys, *source)["exit_code"] == 0
    other = fitting(bundle).model_copy(update={"pixel_size": made.pixel_size(0.14), "stage": None})
    told = checked(other, bundle, tmp_path, capsys, *source)
    assert told["exit_code"] == 10 and "is at 0.13 um/px" in told["findings"][0]["sentence"]


def test_what_cannot_be_read_is_a_sentence(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.json").write_text("{")
    for words, code in (
        ([tmp_path / "absent.json"], 3),
        ([tmp_path / "broken.json"], 3),
        ([write(tmp_path, made_profile()), "--bundle", tmp_path / "none"], 3),
        ([write(tmp_path, made_profile()), "--bundle", bundle.path, "--source", f"folder:{tmp_path / 'none'}"], 4),
    ):
        assert leuko_calib("check", *words) == code
        assert capsys.readouterr().err.count("\n") == 1


def write(folder: Path, profile: Profile, name: str = "p.json") -> Path:
    write_profile(folder / name, profile)
    return folder / name


def test_every_part_of_a_profile_is_a_step_and_the_other_way_about() -> None:
    parts = set(Profile.model_fields) - {"schema_version", "instrument", "camera"}
    assert {step.part for step in known_steps()} == parts <= {step.part for step in STEPS}


CHANGES = [
    pytest.param(with_(pixel_size=made.pixel_size(0.1313)), "pixel_size", "um_per_px_percent", 1.0, id="scale, per cent"),
    pytest.param(with_(pixel_size=made.pixel_size(0.1313)), "pixel_size", "leukocyte_px", -0.914, id="scale, pixels of a cell"),
    pytest.param(with_(illumination=made.light(white=235)), "illumination", "white_levels", 5.0, id="lamp"),
    pytest.param(with_(illumination=made.light(darkest=0.76)), "illumination", "shade_percent", 5.0, id="vignette"),
    pytest.param(with_(colours=made.colours(None, red=146)), "colours", "red_cells_levels", 6.0, id="stain"),
    pytest.param(with_(stage=made.stage(0.1301)), "stage", "field_rms_nm", 26.85, id="affine, in a field"),
    pytest.param(with_(stage=made.stage(backlash_um=2.5)), "stage", "backlash_x_um", 1.0, id="backlash"),
]


@pytest.mark.parametrize(("change", "part", "size", "by"), CHANGES)
def test_a_change_has_its_size(change: Spoil, part: str, size: str, by: float) -> None:
    before = made_profile()
    (found,) = [each for each in differences(before, change(before)) if each.part == part]
    assert found.sizes[size] == pytest.approx(by, rel=0.01) and found.before and found.after and found.sentence


def test_thresholds_that_changed_are_named_by_class() -> None:
    before = made_profile()
    assert before.thresholds is not None
    other = Thresholds(detect=0.35, identify_by_class={"blast": 0.7})
    after = before.model_copy(
        update={
            "thresholds": before.thresholds.model_copy(
                update={"thresholds": other, "bundle_id": "2" * 64, "probability": ((0.0, 0.1), (1.0, 0.7))}
            )
        }
    )
    (found,) = differences(before, after)
    assert found.sizes == pytest.approx({"detect": 0.05, "identify_blast": 0.2, "probability": 0.2})
    assert "another bundle" in found.sentence


def test_what_is_new_gone_or_of_another_instrument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = made_profile()
    after = before.model_copy(
        update={"stage": None, "instrument": "bench 4", "camera": CameraGeometry(width_px=800, height_px=600)}
    )
    assert [each.part for each in differences(before, after)] == ["instrument", "camera", "stage"]
    assert [each.sentence for each in differences(after, before)][-1] == "measured"
    one, other = write(tmp_path, before, "a.json"), write(tmp_path, after, "b.json")
    assert leuko_calib("diff", one, other, "--json") == 10
    assert [each["part"] for each in json.loads(capsys.readouterr().out)["differences"]] == ["instrument", "camera", "stage"]
    assert leuko_calib("diff", one, other) == 10 and "taken out" in capsys.readouterr().out
    assert leuko_calib("diff", one, one) == 0 and "the same" in capsys.readouterr().out
    assert leuko_calib("diff", one, tmp_path / "none.json") == 3
