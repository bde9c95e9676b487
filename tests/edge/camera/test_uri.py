"""What a source URI means, and the sentence when it means nothing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.uri import SCHEMES, open_source
from edge.contracts.errors import ConfigError, SourceError

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "slide:7"
    path.mkdir()
    (path / "a.png").write_bytes(bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1]))
    return path


@pytest.mark.parametrize("form", ["folder:{}", "{}", "{}/*.png", "folder:{}/a.png"])
def test_folders_with_and_without_their_scheme(folder: Path, form: str) -> None:
    source = open_source(form.format(folder), 0.2)
    assert (source.info.n_fields, source.info.um_per_px, source.info.self_paced) == (1, 0.2, True)
    source.close()


@pytest.mark.parametrize(
    ("uri", "um_per_px", "words"),
    [
        pytest.param("folder:images", None, "how large a pixel is", id="folder without um/px"),
        pytest.param("images", None, "--um-per-px", id="plain path without um/px"),
        pytest.param("video:run.avi", None, "how large a pixel is", id="video without um/px"),
        pytest.param("opencv:0", None, "leuko-calib pixel-size", id="camera without um/px"),
        pytest.param("images", 0.0, "out of range", id="zero um/px"),
        pytest.param("images", float("nan"), "out of range", id="um/px is no number"),
        pytest.param("images", 130.0, "out of range", id="nm/px given as um/px"),
        pytest.param("gige:0", 0.13, ", ".join(f"{scheme}:" for scheme in SCHEMES), id="unknown scheme"),
        pytest.param("rtsp://host/stream", 0.13, "unknown scheme 'rtsp'", id="a URL without opencv:"),
        pytest.param("", 0.13, "names nothing to open", id="empty"),
        pytest.param("video:", 0.13, "names nothing to open", id="scheme alone"),
    ],
)
def test_settings_that_cannot_work(uri: str, um_per_px: float | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(uri, um_per_px)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_path_is_the_source_s_error_not_a_setting_s() -> None:
    with pytest.raises(SourceError, match="does not exist"):
        open_source("folder:/nowhere/at/all", 0.13)
