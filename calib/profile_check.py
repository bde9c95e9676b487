"""Whether a profile still stands, and whether it is for this bundle and this camera: what the edge would say, before it "
"does."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.profile_contents import PartSaid, contents
from edge.camera.profile_camera import require_camera
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle
from edge.contracts.errors import ProfileError
from edge.contracts.profile import Profile
from edge.pipeline.latency_fit import latency_here
from edge.settings import EdgeSettings
from edge.settings.profile_layer import layer_of

Kind = Literal["refused", "doubtful"]

SAME_SCALE = 0.005
"""Of the um/px: what a source that knows its own may differ by."""

TRAINED_SCALE = 2.0
"""Times finer or coarser than the model's fields, from which resampling has to invent or to throw away what it looks at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`refused`: the edge would not start; `doubtful`: it would, with a warning or with less than the profile holds."""

    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a profile holds and what is wrong with it."""

    parts: list[PartSaid]
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """0: it stands; 3: the edge would refuse it; 10: something of it does not hold or has expired."""
        if any(found.kind == "refused" for found in self.findings):
            return ProfileError.exit_code
        return 10 if self.findings else 0


def check_profile(
    profile: Profile, path: Path, bundle: Bundle, source: str | None = None, objective: str | None = None
) -> Checked:
    """Hold `profile` (read from `path`) against the day, a bundle, and where given a source and an objective.

    Raises what opening the source raises; it is opened and closed, and nothing is read from it.
    """
    findings = [*_of_bundle(profile, path, bundle), *_of_itself(profile, path), *_of_engine(profile, path, bundle)]
    if source is not None:
        findings += _of_source(profile, path, source, objective)
    return Checked(contents(profile), findings)


def _of_bundle(profile: Profile, path: Path, bundle: Bundle) -> Iterator[Finding]:
    try:
        layer = layer_of(profile, bundle, path, "profile")
    except ProfileError as problem:
        yield Finding("refused", str(problem))
        return
    yield from (Finding("doubtful", warning) for warning in layer.warnings)
    size = profile.pixel_size
    if size is not None and not 1 / TRAINED_SCALE < size.um_per_px / bundle.manifest.um_per_px < TRAINED_SCALE:
        yield Finding(
            "doubtful",
            f"fields of {size.um_per_px:.4g} um/px are far from the {bundle.manifest.um_per_px:.4g} um/px that {bundle.path} "
            "was trained on; measure on labelled fields what it finds there (`leuko-calib thresholds`).",
        )


def _of_engine(profile: Profile, path: Path, bundle: Bundle) -> Iterator[Finding]:
    """Of this machine: a profile is checked where it will be used."""
    if profile.latency is None:
        return
    fit = latency_here(profile.latency, bundle, EdgeSettings(source="none", bundle=bundle.path))
    if fit.setting is None:
        yield Finding(
            "doubtful",
            f"batch and deadline of profile {path} are not of this machine's engine: {fit.sentence}; measure them here with "
            "`leuko-calib latency`.",
        )
    elif fit.setting.has_expired():
        yield Finding(
            "doubtful",
            f"batch and deadline of profile {path} should have been measured anew by {fit.setting.expires_at} and still stand; "
            "repeat `leuko-calib latency`.",
        )


def _of_itself(profile: Profile, path: Path) -> Iterator[Finding]:
    size, stage, camera = profile.pixel_size, profile.stage, profile.camera
    if size is None:
        yield Finding(
            "doubtful", f"profile {path} has no um/px; measure it with `leuko-calib pixel-size`, or give --um-per-px."
        )
    elif stage is not None and abs(stage.pixel_um / size.um_per_px - 1) > 2 * SAME_SCALE:
        yield Finding(
            "doubtful",
            f"the stage of profile {path} was measured at {stage.pixel_um:.5f} um/px and its um/px is {size.um_per_px:.5f}; "
            "measure the one again that is older (`leuko-calib stage` or `pixel-size`).",
        )
    for name, part in (("light", profile.illumination), ("colours", profile.colours)):
        if part is not None and (part.width_px, part.height_px) != (camera.width_px, camera.height_px):
            yield Finding(
                "refused",
                f"the {name} of profile {path} are of fields of {part.width_px} x {part.height_px} px and its camera gives "
                f"{camera.width_px} x {camera.height_px}; measure them again.",
            )


def _of_source(profile: Profile, path: Path, source: str, objective: str | None) -> Iterator[Finding]:
    own_scale = source.startswith(("virtual:", "recording:"))
    size = profile.pixel_size
    # The source is only looked at; a um/px that it must be given changes nothing in what it is.
    um_per_px = None if own_scale else size.um_per_px if size is not None else 1.0
    with closing(open_source(source, um_per_px)) as opened:
        info = opened.info
    try:
        require_camera(profile.camera, info, path, objective)
    except ProfileError as problem:
        yield Finding("refused", str(problem))
    if own_scale and size is not None and abs(size.um_per_px / info.um_per_px - 1) > SAME_SCALE:
        yield Finding(
            "doubtful",
            f"{source} is at {info.um_per_px:.5g} um/px and profile {path} at {size.um_per_px:.5g}; it is not this profile's.",
        )
    if info.camera.get("serial") is not None and profile.camera.serial is None:
        yield Finding(
            "doubtful",
            f"profile {path} does not say which camera it is of, and {source} is camera {info.camera['serial']}; measure a "
            "part on the camera itself (`leuko-calib colour` or `illumination`), which puts its serial number on record.",
        )
