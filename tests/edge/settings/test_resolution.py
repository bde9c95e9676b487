"""Where a setting comes from, and what is said when it cannot be used."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.errors import BundleError, ConfigError, ProfileError
from edge.contracts.profile import (
    BundleThresholds,
    CameraGeometry,
    PixelSize,
    Profile,
    Thresholds,
    write_profile,
)
from edge.settings import EdgeSettings
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(20)
KNOTS = ((0.0, 0.1), (1.0, 0.8))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("settings") / "bundle", thresholds={"detect": 0.31, "identify": 0.51})


def profile_for(bundle_id: str, folder: Path) -> Path:
    measured = PixelSize(
        um_per_px=0.2,
        uncertainty_um_per_px=0.001,
        line_spacing_um=10,
        lines_found=9,
        image_sha256="a" * 64,
        measured_at="2030-01-02T03:04:05Z",
    )
    chosen = Thresholds(detect=0.32, identify=0.52, margin=0.12)
    thresholds = BundleThresholds(bundle_id=bundle_id, thresholds=chosen, probability=KNOTS)
    camera = CameraGeometry(width_px=732, height_px=574)
    path = folder / "profile.json"
    write_profile(path, Profile(instrument="scope", camera=camera, pixel_size=measured, thresholds=thresholds))
    return path


def test_command_line_over_file_over_profile_over_bundle_over_default(bundle: Bundle, tmp_path: Path) -> None:
    profile = profile_for(bundle.bundle_id, tmp_path)
    file = tmp_path / "edge.yaml"
    file.write_text(f"profile: {profile}\nqueue_fields: 7\nmax_batch: 2\nthresholds: {{identify: 0.53}}\n")
    setup = resolve({"source": "virtual:seed=1", "bundle": bundle.path, "max_batch": 3, "thresholds": {"detect": 0.34}}, file)
    settings = setup.settings
    assert settings.thresholds is not None
    assert (settings.max_batch, settings.queue_fields, settings.um_per_px) == (3, 7, 0.2)
    assert (settings.thresholds.detect, settings.thresholds.identify, settings.thresholds.margin) == (0.34, 0.53, 0.12)
    assert settings.policy == "lossless"
    assert setup.profile_sha256 is not None and setup.probability == KNOTS


def test_without_a_profile_the_bundle_decides(bundle: Bundle) -> None:
    settings = resolve({"source": "virtual:seed=1", "bundle": bundle.path}).settings
    assert settings.thresholds == bundle.manifest.thresholds


def test_thresholds_found_for_another_bundle_are_not_used_and_it_is_said(bundle: Bundle, tmp_path: Path) -> None:
    setup = resolve({"source": "x", "bundle": bundle.path, "profile": profile_for("0" * 64, tmp_path)})
    assert setup.settings.thresholds == bundle.manifest.thresholds
    assert setup.settings.um_per_px == 0.2
    assert "found for another bundle" in setup.warnings[0] and setup.probability == ()


@pytest.mark.parametrize("knots", [((0.0, 0.1),), ((0.0, 0.1), (0.0, 0.2)), ((0.0, 0.5), (1.0, 0.4)), ((0.0, 0.5), (1.0, 1.4))])
def test_probabilities_that_are_none_are_refused(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValidationError):
        BundleThresholds(bundle_id="0" * 64, thresholds=Thresholds(), probability=knots)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("max_bach: 2", ["`max_bach`", "did you mean `max_batch`?"], id="a key that nearly exists"),
        pytest.param("um_per_pixel: 0.1", ["did you mean `um_per_px`?"], id="a key in other words"),
        pytest.param("7: 2", ["`7`", "not a known setting"], id="a key that is no word"),
        pytest.param("thresholds: {dettect: 0.1}", ["`thresholds` of", "did you mean `detect`?"], id="a nested key"),
        pytest.param("thresholds: 0.5", ["`thresholds`"], id="thresholds that are a number"),
        pytest.param("thresholds: {identify_by_class: {neutrofil: 0.5}}", ["neutrofil"], id="a class that does not exist"),
        pytest.param("max_batch: 0", ["`max_batch`", "greater than or equal to 1"], id="a value out of range"),
        pytest.param("policy: newest", ["`policy`", "'lossless' or 'latest'"], id="a choice that does not exist"),
        pytest.param("um_per_px: -1", ["`um_per_px`"], id="a negative size"),
        pytest.param("bundle: 3", ["`bundle` must be a path"], id="a path that is a number"),
        pytest.param("- source", ["`setting: value` lines"], id="a list"),
        pytest.param("a: [1", ["not valid YAML", "line"], id="broken YAML"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_the_key(content: str, words: list[str], bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(content + "\n")
    command_line: dict[str, Any] = {"source": "x"} if content.startswith("bundle") else {"source": "x", "bundle": bundle.path}
    with pytest.raises(ConfigError) as caught:
        resolve(command_line, file)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert all(word in sentence for word in words), sentence


def test_missing_things_are_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve({"source": "x", "bundle": bundle.path}, tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="no source is set"):
        resolve({"bundle": bundle.path})
    with pytest.raises(BundleError, match="is not a bundle"):
        resolve({"source": "x", "bundle": tmp_path / "none"})
    with pytest.raises(ProfileError, match="leuko-calib"):
        resolve({"source": "x", "bundle": bundle.path, "profile": tmp_path / "none.json"})


def test_the_hash_follows_the_values_only() -> None:
    assert EdgeSettings(source="a").sha256() == EdgeSettings(source="a", max_batch=1).sha256()
    assert EdgeSettings(source="a").sha256() != EdgeSettings(source="a", max_batch=2).sha256()
