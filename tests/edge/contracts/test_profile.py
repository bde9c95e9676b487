"""A profile is read back as it was written, and refused with a sentence when it cannot be trusted."""

import hashlib
import json
from pathlib import Path

import pytest

from edge.contracts.errors import ProfileError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile, load_profile, write_profile

PROFILE = Profile(
    instrument="bench 3",
    camera=CameraGeometry(width_px=732, height_px=574, objective="50x/0.95"),
    pixel_size=PixelSize(
        um_per_px=0.1302,
        uncertainty_um_per_px=0.0001,
        line_spacing_um=10,
        lines_found=9,
        image_sha256="0" * 64,
        measured_at="2026-01-01T00:00:00Z",
    ),
)


def test_a_profile_comes_back_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "profile.json"
    written = write_profile(path, PROFILE)
    assert load_profile(path) == (PROFILE, written)
    assert written == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        pytest.param(("um_per_px",), 0.13, "`um_per_px` is not a known key", id="key in the wrong place"),
        pytest.param(("pixel_size", "um_per_px"), -0.13, "pixel_size.um_per_px", id="negative scale"),
        pytest.param(("pixel_size", "lines_found"), 2, "pixel_size.lines_found", id="two lines show no error"),
        pytest.param(("camera", "width_px"), 0, "camera.width_px", id="no pixels"),
        pytest.param(("schema_version",), 2, "schema_version", id="a later schema"),
        pytest.param(("thresholds",), {"bundle_id": "any", "thresholds": {}}, "thresholds.bundle_id", id="tied to no bundle"),
    ],
)
def test_a_profile_that_breaks_the_contract_is_refused(tmp_path: Path, path: tuple[str, ...], value: object, says: str) -> None:
    document = json.loads(PROFILE.model_dump_json())
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(document))
    with pytest.raises(ProfileError, match="cannot be used") as refused:
        load_profile(file)
    assert says in str(refused.value)


def test_a_missing_profile_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="leuko-calib pixel-size"):
        load_profile(tmp_path / "none.json")
