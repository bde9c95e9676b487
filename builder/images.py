"""The images that a builder's checks run on: a folder of fields or, without one, drawn fields that are marked as such."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from builder.profile_correction import Seen
from edge.camera.frame import FrameSource
from edge.camera.resample import TOLERANCE, Axis, FitPlan, plan_fit
from edge.camera.uri import open_source
from edge.camera.virtual import VirtualSource
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError, SourceError
from edge.virtual import UM_PER_PX

_AS_LONG_AS_IT_TAKES_S = 60.0
_DRAWN = "seed=1,mix=even,wbc=3,variants=4"
"""All classes alike and several cells in every field: a normal slide would show none in most of so few fields."""


@dataclass(frozen=True, slots=True)
class FieldImages:
    """Frames of the size that an engine takes: uint8 [N, height, width, 3] BGR.

    An image larger than the frame is cut into tiles, so there may be more frames than images; `names` has one per frame.
    `sha256` is over the decoded images, in order, each with its shape, before they are fitted.
    """

    frames: Image
    names: tuple[str, ...]
    images: int
    available: int
    """so many there are; more than `images` where a limit was reached"""
    sha256: str
    are_synthetic: bool
    origin: str
    """where they are from and what was done to them, for reports"""
    seen: Seen | None = None
    """the profile that they were corrected by"""


def read_images(
    folder: Path | None,
    bundle: Bundle,
    frame_width_px: int,
    frame_height_px: int,
    limit: int,
    um_per_px: float | None = None,
    seen: Seen | None = None,
) -> FieldImages:
    """Read the first `limit` images of `folder` in natural order, or draw `limit` fields when it is None.

    Images are fitted to the frame as the edge fits them in a run: resampled when their scale differs from the bundle's,
    centred on background when smaller, tiled when larger. `um_per_px` is the images' scale, which nobody guesses; that of the
    profile when none is given. With `seen` light and colours are corrected on the way, as in a run with that profile.
    Raises `SourceError` when there is no image, when one of those read is unusable or of another size than the first (it is
    named; none is left out), and when the edge would run them at a size of their own; `ConfigError` for a folder without a
    scale, or an impossible one.
    """
    if folder is None:
        if seen is not None:
            raise ConfigError("drawn fields have no instrument's light and colours; give its fields with --images.")
        return _drawn(bundle, frame_width_px, frame_height_px, limit)
    um_per_px = um_per_px or (seen.um_per_px if seen is not None else None)
    if um_per_px is None:
        raise ConfigError(
            f"the images of {folder} do not say how large a pixel is; give it with --um-per-px (or measure it once with "
            "`leuko-calib pixel-size`)."
        )
    source = open_source(f"folder:{folder}", um_per_px)
    info = source.info
    if seen is not None and (info.width_px, info.height_px) != (seen.width_px, seen.height_px):
        raise SourceError(
            f"the images of {folder} are {info.width_px} x {info.height_px} px and the profile is of a camera with "
            f"{seen.width_px} x {seen.height_px} px; give fields of that camera."
        )
    correction = seen.correction if seen is not None else None
    asked = (bundle.manifest.um_per_px, frame_width_px, frame_height_px)
    plan = plan_fit(info.width_px, info.height_px, info.um_per_px, *asked, correction=correction)
    if (plan.engine_width_px, plan.engine_height_px) != (frame_width_px, frame_height_px):
        raise SourceError(
            f"the images of {folder} need an engine for frames of {plan.engine_width_px} x {plan.engine_height_px} px, so near "
            f"to {frame_width_px} x {frame_height_px} px that the edge would not resample them; build for that size, or give "
            f"images of {frame_width_px} x {frame_height_px} px."
        )
    total = info.n_fields or 0
    which = f"the first {limit} of {total} images" if total > limit else f"{total} image{'s' if total != 1 else ''}"
    found = _collect(source, plan, limit, f"{which} of {folder}; {plan.summary}")
    return found if seen is None else replace(found, seen=seen, origin=f"{found.origin} They are {seen.said}.")


def _drawn(bundle: Bundle, frame_width_px: int, frame_height_px: int, limit: int) -> FieldImages:
    """Fields drawn so large that they fill the frame at the bundle's scale."""
    ratio = UM_PER_PX / bundle.manifest.um_per_px
    if abs(ratio - 1.0) <= TOLERANCE:
        ratio = 1.0
    width_px, height_px = round(frame_width_px / ratio), round(frame_height_px / ratio)
    source = VirtualSource(f"{_DRAWN},fields={limit},width={width_px},height={height_px}")
    # Not by `plan_fit`: rounding to whole pixels could miss the frame by one.
    plan = FitPlan(
        Axis(width_px, frame_width_px, frame_width_px, (0,), 0), Axis(height_px, frame_height_px, frame_height_px, (0,), 0)
    )
    return _collect(source, plan, limit, f"drawn fields, {source.info.uri}; {plan.summary}")


def _collect(source: FrameSource, plan: FitPlan, limit: int, origin: str) -> FieldImages:
    available = source.info.n_fields or 0
    n_images = min(limit, available)
    frames = np.empty((n_images * plan.n_tiles, plan.engine_height_px, plan.engine_width_px, 3), np.uint8)
    digest = hashlib.sha256()
    names = []
    for index in range(n_images):
        frame = source.read(_AS_LONG_AS_IT_TAKES_S)
        if frame.image is None:
            raise SourceError(f"an image of {source.info.uri} cannot be used: {frame.detail}")
        height_px, width_px = frame.image.shape[:2]
        if (width_px, height_px) != (source.info.width_px, source.info.height_px):
            raise SourceError(
                f"an image of {source.info.uri} cannot be used: {frame.source_name} is {width_px} x {height_px} px and the "
                f"first is {source.info.width_px} x {source.info.height_px} px; give images of one size."
            )
        digest.update(str(frame.image.shape).encode())
        digest.update(frame.image.tobytes())
        first = index * plan.n_tiles
        plan.write(frame.image, list(frames[first : first + plan.n_tiles]))
        tiles = [f", tile {tile + 1} of {plan.n_tiles}" for tile in range(plan.n_tiles)] if plan.n_tiles > 1 else [""]
        names += [f"{frame.source_name}{tile}" for tile in tiles]
    source.close()
    return FieldImages(frames, tuple(names), n_images, available, digest.hexdigest(), source.info.is_synthetic, origin)
