"""A profile is of one camera and of frames of one size: on others its um/px would be wrong, and nothing else would show it."""

from pathlib import Path

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.camera.frame import SourceInfo
from edge.camera.profile_camera import require_camera
from edge.contracts.bundle import Bundle
from edge.contracts.errors import ProfileError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile, write_profile
from edge.pipeline import opened
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(40)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("parts") / "bundle")


def profile(path: Path, width_px: int, height_px: int, serial: str | None = None) -> Path:
    measured = PixelSize(
        um_per_px=0.13,
        uncertainty_um_per_px=0.001,
        line_spacing_um=10,
        lines_found=9,
        image_sha256="a" * 64,
        measured_at="2030-01-02T03:04:05Z",
    )
    camera = CameraGeometry(width_px=width_px, height_px=height_px, serial=serial)
    write_profile(path, Profile(instrument="scope", camera=camera, pixel_size=measured))
    return path


def test_the_frames_that_it_was_measured_on_are_taken(bundle: Bundle, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), blob_field())
    height_px, width_px = blob_field().shape[:2]
    own = profile(tmp_path / "own.json", width_px, height_px)
    with opened(resolve({"source": f"folder:{tmp_path}/*.png", "profile": own, "bundle": bundle.path})) as open_parts:
        assert open_parts.source.info.um_per_px == 0.13


@pytest.mark.parametrize(
    ("factor", "why"),
    [pytest.param(2, "binning", id="the camera bins two by two"), pytest.param(1.25, "region of interest", id="a part of it")],
)
def test_frames_of_another_size_are_refused(bundle: Bundle, tmp_path: Path, factor: float, why: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), blob_field())
    height_px, width_px = blob_field().shape[:2]
    other = profile(tmp_path / "other.json", round(factor * width_px), round(factor * height_px))
    setup = resolve({"source": f"folder:{tmp_path}/*.png", "profile": other, "bundle": bundle.path})
    with pytest.raises(ProfileError, match=why), opened(setup):
        pass


@pytest.mark.parametrize(
    ("measured", "there", "refused"),
    [
        pytest.param("22-1", "22-1", False, id="the same camera"),
        pytest.param("22-1", "22-2", True, id="the camera was exchanged"),
        pytest.param(None, "22-2", False, id="the profile does not say which"),
        pytest.param("22-1", None, False, id="a source that does not say which it is"),
    ],
)
def test_another_camera_is_refused(tmp_path: Path, measured: str | None, there: str | None, refused: bool) -> None:
    camera = {} if there is None else {"serial": there}
    info = SourceInfo("aravis:there", 732, 574, 0.13, None, self_paced=True, camera=camera)
    geometry = CameraGeometry(width_px=732, height_px=574, serial=measured)
    if not refused:
        require_camera(geometry, info, tmp_path / "p.json")
        return
    with pytest.raises(ProfileError, match="was measured on camera 22-1 and aravis:there is camera 22-2"):
        require_camera(geometry, info, tmp_path / "p.json")


@pytest.mark.parametrize(
    ("measured", "in_use", "refused"),
    [
        pytest.param("50x/0.95", "50X / 0,95", False, id="the same, written otherwise"),
        pytest.param("50x/0.95", "100x/1.25", True, id="another objective"),
        pytest.param(None, "100x/1.25", False, id="the profile does not say which"),
        pytest.param("50x/0.95", None, False, id="the run does not say which"),
    ],
)
def test_another_objective_is_refused(measured: str | None, in_use: str | None, refused: bool) -> None:
    info = SourceInfo("aravis:there", 732, 574, 0.13, None, self_paced=True)
    geometry = CameraGeometry(width_px=732, height_px=574, objective=measured)
    if not refused:
        require_camera(geometry, info, "p.json", in_use)
        return
    with pytest.raises(ProfileError, match=r"was measured with objective 50x/0.95 and 100x/1.25 is in use"):
        require_camera(geometry, info, "p.json", in_use)


def test_a_binning_is_called_so() -> None:
    info = SourceInfo("aravis:there", 1224, 1024, 0.13, None, self_paced=True)
    with pytest.raises(ProfileError, match="a binning by 2 may have changed um/px"):
        require_camera(CameraGeometry(width_px=2448, height_px=2048), info, "p.json")
