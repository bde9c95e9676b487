"""A profile with thresholds chosen on annotated images, and what is told of them."""

from datetime import datetime, timezone
from pathlib import Path

from tqdm import tqdm

from calib.labelled_cells import rows_of
from calib.shown_fields import Shown
from calib.threshold_choice import Floors, ThresholdChoice, choose
from edge.contracts.bundle import Bundle, sha256_of
from edge.contracts.choices import EngineChoice
from edge.contracts.errors import ConfigError
from edge.contracts.label_lines import LabelledImage, read_label_lines
from edge.contracts.profile import BundleThresholds, MeasuredShare, Profile, ThresholdEvidence
from edge.engine import open_engine
from edge.engine.base import Engine

SHARES = {
    "recall": "leukocytes found",
    "precision": "counted leukocytes that are leukocytes",
    "typed_recall": "typed leukocytes found under their type",
    "typed_precision": "typed cells of the type they are called",
}

_SAME_SCALE = 0.03
"""Of the um/px: a model does not see it, and labels are often of a rounded one."""


def measure_thresholds(
    profile: Profile,
    shown: Shown,
    bundle: Bundle,
    labels: Path,
    root: Path,
    splits: tuple[str, ...],
    floors: Floors,
    engine: EngineChoice = "auto",
) -> tuple[Profile, ThresholdChoice]:
    """`profile` with thresholds and probabilities for `bundle`, chosen on the images of `labels` that are in `splits`, which
    the model sees as `shown` says. They hold for such fields.

    Raises `DataError` for images that cannot be read, and for too few cells; `ConfigError` when no image is in `splits`.
    """
    lines = [line for line in read_label_lines(labels) if line.split in splits]
    if not lines:
        raise ConfigError(f"no image of {labels} is in the splits {', '.join(splits)}; name others with --split.")
    for line in lines:
        shown.require_size(line.path, line.width_px, line.height_px)
    computed_by: list[str] = []

    def opened(width_px: int, height_px: int) -> Engine:
        here = open_engine(bundle, width_px, height_px, slots=1, engine=engine, allow_ungated=True)
        computed_by.append(str(here.info))
        return here

    watched = tqdm(lines, desc="thresholds", unit="image", mininterval=2.0)
    rows = list(rows_of(watched, root, bundle.manifest, opened, shown.correction))
    choice = choose(rows, shown.thresholds, floors)
    found = BundleThresholds(
        bundle_id=bundle.bundle_id,
        colour_transform=shown.colour_transform,
        thresholds=choice.thresholds,
        probability=choice.calibration.knots if choice.calibration else (),
        evidence=_evidence(choice, lines, sha256_of(labels), floors, computed_by[0]),
    )
    return profile.model_copy(update={"thresholds": found}), choice


def doubts_of_labels(profile: Profile, labels: Path, splits: tuple[str, ...]) -> tuple[str, ...]:
    """Why the images may not be this instrument's, a sentence each: thresholds found on them would be said of another."""
    lines = [line for line in read_label_lines(labels) if line.split in splits]
    camera, size, found = profile.camera, profile.pixel_size, []
    other = [line for line in lines if line.width_px > camera.width_px or line.height_px > camera.height_px]
    if other:
        found.append(
            f"{len(other)} of {len(lines)} images (such as {other[0].path}) are larger than the {camera.width_px} x "
            f"{camera.height_px} px of the profile's camera: they are not of it, or it was binned."
        )
    scaled = [line for line in lines if size is not None and abs(line.um_per_px / size.um_per_px - 1) > _SAME_SCALE]
    if scaled and size is not None:
        found.append(
            f"{len(scaled)} of {len(lines)} images are of another um/px ({scaled[0].um_per_px:.4g}) than the profile's "
            f"{size.um_per_px:.4g}; a run shows the model its cells in another size."
        )
    return tuple(found)


def _evidence(
    choice: ThresholdChoice, lines: list[LabelledImage], digest: str, floors: Floors, engine: str
) -> ThresholdEvidence:
    calibration = choice.calibration
    return ThresholdEvidence(
        labels_sha256=digest,
        images=len(lines),
        groups=len({line.group for line in lines}),
        precision_floor=floors.wbc,
        typed_precision_floor=floors.typed,
        shares={
            name: MeasuredShare(
                hits=share.hits,
                trials=share.trials,
                low=share.limits[0] if share.limits else None,
                high=share.limits[1] if share.limits else None,
            )
            for name, share in choice.shares.items()
        },
        too_few=tuple(one.name for one in choice.classes if one.state == "too few"),
        not_reached=tuple(one.name for one in choice.classes if one.state == "not reached"),
        calibration=calibration.method if calibration else None,
        calibration_error=(calibration.error_before, calibration.error_after) if calibration else None,
        engine=engine,
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
