"""What a profile says to a run of one bundle: settings, light and colours to correct, and what of it cannot be used."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.contracts.bundle import Bundle
from edge.contracts.choices import Correct
from edge.contracts.colours import COLOUR_TRANSFORM, Dated, MeasuredColours, MeasuredLight
from edge.contracts.errors import ProfileError
from edge.contracts.profile import Knot, Profile, part_sha256
from edge.settings.edge_settings import Origin
from edge.settings.setting_layers import Layers


@dataclass(slots=True)
class ProfileLayer:
    """`values` are settings; `warnings` sentences for the operator."""

    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    colours: MeasuredColours | None = None
    light: MeasuredLight | None = None
    probability: tuple[Knot, ...] = ()
    thresholds_are_measured: bool = False
    """on this instrument; else they are the bundle's"""

    def under(self, stated: Layers, profile: str, bundle: str) -> Layers:
        """All settings that are stated, by people or by files: this below `stated`. `profile` and `bundle` are their places."""
        measured, below = Origin("profile", profile), Layers()
        thresholds = {"thresholds": self.values["thresholds"]}
        below.put(measured if self.thresholds_are_measured else Origin("bundle", bundle), thresholds)
        below.put(measured, {name: value for name, value in self.values.items() if name != "thresholds"})
        return below.under(stated)


def layer_of(profile: Profile | None, bundle: Bundle, path: Path | str, correct: Correct) -> ProfileLayer:
    """What `profile` (read from `path`) means for a run. Raises `ProfileError` for parts that do not go together."""
    layer = ProfileLayer()
    if profile is not None:
        if profile.pixel_size is not None:
            layer.values["um_per_px"] = profile.pixel_size.um_per_px
        if correct == "profile":
            _corrections(layer, profile, bundle, path)
        _warn_of_age(layer, path, (profile.stage, "stage", "stage"))
        if profile.focus is not None and not profile.focus.compares:
            layer.warnings.append(
                f"the focus of profile {path} is by a sharpness that rose with noise and that fields of today are not measured "
                "by, so that the usual limit tells what is blurred; repeat `leuko-calib focus`."
            )
    moved = COLOUR_TRANSFORM if layer.colours is not None else None
    default = (bundle.manifest.moved_thresholds if moved else None) or bundle.manifest.thresholds
    layer.values["thresholds"] = default.model_dump()
    if profile is not None and (own := profile.thresholds) is not None:
        if own.bundle_id != bundle.bundle_id:
            layer.warnings.append(
                f"the thresholds of profile {path} were found for another bundle; those of {bundle.path} are used."
            )
        elif own.colour_transform != moved:
            layer.warnings.append(
                f"the thresholds of profile {path} were found on fields {_in_colours(own.colour_transform)} and this run's are "
                f"{_in_colours(moved)}; those of {bundle.path} are used."
            )
        else:
            layer.values["thresholds"] = own.thresholds.model_dump()
            layer.probability = own.probability
            layer.thresholds_are_measured = True
    return layer


def _corrections(layer: ProfileLayer, profile: Profile, bundle: Bundle, path: Path | str) -> None:
    layer.light, colours = profile.illumination, profile.colours
    _warn_of_age(layer, path, (layer.light, "light", "illumination"), (colours, "colours", "colour"))
    if colours is None:
        return
    light_sha256 = part_sha256(layer.light) if layer.light is not None else None
    if colours.illumination_sha256 != light_sha256:
        raise ProfileError(
            f"the colours of profile {path} were measured {'under another' if light_sha256 else 'with a'} light "
            f"correction {'than' if light_sha256 else 'that'} the profile {'has' if light_sha256 else 'has not'}; measure them "
            "anew with this profile (`leuko-calib colour --profile`)."
        )
    if bundle.manifest.reference_colours is None:
        layer.warnings.append(
            f"bundle {bundle.path} does not say which colours it knows; those of this instrument stay as they are."
        )
        return
    layer.colours = colours


def _warn_of_age(layer: ProfileLayer, path: Path | str, *parts: tuple[Dated | None, str, str]) -> None:
    """A warning and no refusal: a scanner does not stop at midnight; who wants it to, asks `leuko-calib check` first."""
    for part, name, command in parts:
        if part is not None and part.has_expired():
            layer.warnings.append(
                f"the {name} of profile {path} should have been measured anew by {part.expires_at} and still stand; repeat "
                f"`leuko-calib {command}`."
            )


def _in_colours(transform: str | None) -> str:
    return f"moved to the bundle's colours by {transform}" if transform else "in the camera's own colours"
