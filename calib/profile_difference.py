"""What changed between two profiles, in units that matter: per cents of scale, grey levels, micrometres, places in a field."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib.profile_contents import known_steps, say, say_camera
from edge.contracts.base import Strict
from edge.contracts.colours import Colours, MeasuredColours, MeasuredLight
from edge.contracts.latency import MeasuredLatency
from edge.contracts.profile import BundleThresholds, FocusRange, PixelSize, Profile
from edge.contracts.stage_geometry import MaybePerAxis, MeasuredStage

_LEUKOCYTE_UM = 12.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One part: `before` and `after` in words, empty where it was not measured; `sizes` by how much, by name with its unit."""

    part: str
    before: str
    after: str
    sizes: dict[str, float]
    sentence: str


def differences(before: Profile, after: Profile) -> list[Difference]:
    """Parts that are not the same, in the order of an installation; a part that was only measured again is one."""
    found = []
    if before.instrument != after.instrument:
        found.append(Difference("instrument", before.instrument, after.instrument, {}, "another name"))
    if before.camera != after.camera:
        sentence = "another camera, objective or frame size: the two are of different instruments"
        if (before.camera.serial is None) != (after.camera.serial is None) and _size(before) == _size(after):
            sentence = "the serial number or the objective is on record in one of them only"
        found.append(Difference("camera", say_camera(before.camera), say_camera(after.camera), {}, sentence))
    for step in known_steps():
        one, other = getattr(before, step.part), getattr(after, step.part)
        if one == other:
            continue
        if one is None or other is None:
            told = ("" if one is None else say(one), "" if other is None else say(other))
            found.append(Difference(step.part, *told, {}, "measured" if one is None else "taken out"))
            continue
        sizes, sentence = _COMPARE.get(type(one), _anything)(one, other, after)
        found.append(Difference(step.part, say(one), say(other), sizes, sentence))
    return found


def _size(profile: Profile) -> tuple[int, int]:
    return profile.camera.width_px, profile.camera.height_px


def _pixel_size(one: PixelSize, other: PixelSize, _: Profile) -> tuple[dict[str, float], str]:
    percent = 100 * (other.um_per_px / one.um_per_px - 1)
    claimed = float(np.hypot(one.uncertainty_um_per_px, other.uncertainty_um_per_px))
    cell_px = _LEUKOCYTE_UM / other.um_per_px - _LEUKOCYTE_UM / one.um_per_px
    within = abs(other.um_per_px - one.um_per_px) <= 3 * claimed
    return {"um_per_px_percent": percent, "leukocyte_px": cell_px}, (
        f"{percent:+.2f} %, a leukocyte of 12 um by {cell_px:+.2f} px; {'within' if within else 'more than'} what the two claim"
    )


def _light(one: MeasuredLight, other: MeasuredLight, _: Profile) -> tuple[dict[str, float], str]:
    white = max(abs(a - b) for a, b in zip(one.white, other.white, strict=True))
    shapes = [np.array(each.shade).shape for each in (one, other)]
    sizes = {"white_levels": white}
    shade = ""
    if shapes[0] == shapes[1]:
        sizes["shade_percent"] = 100 * float(np.abs(np.array(other.shade) / np.array(one.shade) - 1).max())
        shade = f", the light over the field by up to {sizes['shade_percent']:.1f} %"
    return sizes, f"the brightest part by {white:.1f} grey levels{shade}"


def _colours(one: MeasuredColours, other: MeasuredColours, _: Profile) -> tuple[dict[str, float], str]:
    sizes = {}
    for name in Colours.model_fields:
        a, b = getattr(one.colours, name), getattr(other.colours, name)
        if a is not None and b is not None:
            sizes[f"{name}_levels"] = max(abs(x - y) for x, y in zip(a, b, strict=True))
    spread = max(one.spread.red_cells)
    told = ", ".join(f"{name.removesuffix('_levels').replace('_', ' ')} by {size:.1f}" for name, size in sizes.items())
    return sizes, f"{told} grey levels (fields differ by {spread:.1f} among themselves)"


def _focus(one: FocusRange, other: FocusRange, _: Profile) -> tuple[dict[str, float], str]:
    usable = (other.usable_um[1] - other.usable_um[0]) - (one.usable_um[1] - one.usable_um[0])
    if one.metric != other.metric:
        return {"usable_um": usable}, f"the usable range by {usable:+.2f} um; the scores are of two measures and do not compare"
    sizes = {"min_score_percent": 100 * (other.min_score / one.min_score - 1), "usable_um": usable}
    return sizes, f"the least score by {sizes['min_score_percent']:+.0f} %, the usable range by {usable:+.2f} um"


def _stage(one: MeasuredStage, other: MeasuredStage, after: Profile) -> tuple[dict[str, float], str]:
    width_px, height_px = _size(after)
    wrong = np.array(other.um_per_px) - np.array(one.um_per_px)
    field_nm = 1000 * float(np.sqrt(np.trace(wrong @ np.diag([width_px**2 / 12, height_px**2 / 12]) @ wrong.T)))
    sizes = {"field_rms_nm": field_nm}
    told = [f"places in a field by {field_nm:.0f} nm (rms; claimed {other.affine_error_nm:.0f})"]
    for name, unit in (("backlash_um", "backlash"), ("sigma_um", "error")):
        for axis, a, b in zip("xy", *_pair(one, other, name), strict=True):
            if a is not None and b is not None:
                sizes[f"{name.removesuffix('_um')}_{axis}_um"] = b - a
                told.append(f"{unit} {axis} by {b - a:+.2f} um")
    return sizes, ", ".join(told)


def _pair(one: MeasuredStage, other: MeasuredStage, name: str) -> tuple[MaybePerAxis, MaybePerAxis]:
    return getattr(one, name), getattr(other, name)


def _thresholds(one: BundleThresholds, other: BundleThresholds, _: Profile) -> tuple[dict[str, float], str]:
    a, b = one.thresholds, other.thresholds
    sizes = {name: getattr(b, name) - getattr(a, name) for name in ("detect", "identify", "margin")}
    told = [f"{name} {size:+.3f}" for name, size in sizes.items() if size]
    for name in sorted(set(a.identify_by_class) | set(b.identify_by_class)):
        size = b.identify_by_class.get(name, b.identify) - a.identify_by_class.get(name, a.identify)
        if size:
            sizes[f"identify_{name}"] = size
            told.append(f"identify {name} {size:+.3f}")
    if one.probability and other.probability:
        scores = np.linspace(0, 1, 101)
        curves = [np.interp(scores, *np.array(each.probability).T) for each in (one, other)]
        sizes["probability"] = float(np.abs(curves[1] - curves[0]).max())
        told.append(f"probabilities by up to {sizes['probability']:.2f}")
    if one.bundle_id != other.bundle_id:
        told.insert(0, "for another bundle")
    if one.colour_transform != other.colour_transform:
        told.insert(0, "for other colours")
    return {name: size for name, size in sizes.items() if size}, ", ".join(told) or "the same values, measured again"


def _latency(one: MeasuredLatency, other: MeasuredLatency, _: Profile) -> tuple[dict[str, float], str]:
    sizes: dict[str, float] = {}
    told = []
    for key in sorted(set(one.engines) | set(other.engines)):
        a, b = one.engines.get(key), other.engines.get(key)
        if a is None or b is None:
            told.append(f"{'measured' if a is None else 'taken out'} for {(a or b).engine}")  # type: ignore[union-attr]
            continue
        changes = {
            f"batch_{key}": float(b.max_batch - a.max_batch),
            f"deadline_{key}_ms": b.max_delay_ms - a.max_delay_ms,
            f"fields_{key}_per_s": b.fields_per_s - a.fields_per_s,
        }
        sizes |= {name: size for name, size in changes.items() if size}
        batch, deadline_ms, per_s = changes.values()
        told.append(f"batch by {batch:+g}, deadline by {deadline_ms:+g} ms, full speed by {per_s:+.1f} fields/s on {b.engine}")
    return sizes, "; ".join(told)


def _anything(one: Strict, other: Strict, _: Profile) -> tuple[dict[str, float], str]:
    a, b = one.model_dump(), other.model_dump()
    changed = [name for name in a if a[name] != b.get(name)]
    return {}, f"other values of {', '.join(changed)}" if changed else "another kind of measurement"


_COMPARE: dict[type[Any], Callable[[Any, Any, Profile], tuple[dict[str, float], str]]] = {
    PixelSize: _pixel_size,
    MeasuredLight: _light,
    MeasuredColours: _colours,
    FocusRange: _focus,
    MeasuredStage: _stage,
    BundleThresholds: _thresholds,
    MeasuredLatency: _latency,
}
