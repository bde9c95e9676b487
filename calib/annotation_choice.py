"""From a source to a folder that is ready for annotation, and the two commands that follow."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from calib.annotation_set import DESCRIPTION, names_of, write_description, write_image, write_labels, write_lists
from calib.field_doubts import doubtful_fields, pictures
from calib.image_choice import ChosenField, choose, slides_of
from calib.red_cell_check import check_scale
from calib.shown_fields import Shown
from edge.contracts.bundle import Bundle
from edge.contracts.choices import AnnotationFormat
from edge.contracts.errors import ConfigError, DataError
from edge.quality.red_cell_scale import CONTRADICTS

_SCALE_FIELDS = 24
MIN_SLIDES = 3
"""Below that no slide can be held back and others be trained on."""
HOLD_BACK = "grouped:0.3"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written to `folder`: `looked_at` fields of `n_slides` slides, the ones chosen, and what speaks against them."""

    folder: Path
    looked_at: int
    n_slides: int
    chosen: tuple[ChosenField, ...]
    um_per_px: float
    warnings: tuple[str, ...]
    commands: tuple[str, ...]
    """To train and to export; none where a training would be refused."""


def prepare(
    source: str,
    um_per_px: float | None,
    bundle: Bundle,
    shown: Shown | None,
    out: Path,
    *,
    count: int,
    most: int,
    slide_by: str | None = None,
    as_format: AnnotationFormat = "yolo",
) -> Prepared:
    """Choose `count` of the first `most` fields of a source that can be read twice, and write them to a new folder.

    The model sees them as `shown` says, as they come without it; they are written as they come.

    Raises `ConfigError` for a folder in use, `SourceError`, and `DataError` for a source without fields or of several scales.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already and may hold annotations; choose another --out.")
    fields = doubtful_fields(source, um_per_px, bundle, shown, most)
    scales = sorted({each.um_per_px for each in fields})
    if len(scales) > 1:
        raise DataError(f"the fields of {source} have {scales[0]:g} and {scales[-1]:g} um/px; choose from one scale at a time.")
    slides = slides_of([each.name for each in fields], slide_by)
    chosen = choose(fields, slides, count)
    names = names_of(chosen)
    for folder in ("images", "labels") if as_format == "yolo" else ("images",):
        (out / folder).mkdir(parents=True, exist_ok=True)
    wanted = {each.field.number: name for each, name in zip(chosen, names, strict=True)}
    written = 0
    for number, _, image in pictures(source, um_per_px, most):
        if number in wanted:
            write_image(out, wanted[number], image)
            written += 1
    if written < len(chosen):
        raise DataError(f"{source} gave other fields when it was read again; choose from files that nobody changes meanwhile.")
    files = write_labels(out, chosen, names, as_format)
    write_description(out, source, bundle.manifest.name, scales[0], as_format)
    write_lists(out, chosen, names, files)
    of_profile = shown.warnings if shown is not None else ()
    warnings = (*of_profile, *_few(len(chosen), count, len(fields)), *_few_slides(chosen), *_scale_doubt(source, scales[0]))
    commands = _commands(out, bundle) if len({each.slide for each in chosen}) > 1 else ()
    return Prepared(out, len(fields), len(set(slides)), tuple(chosen), scales[0], warnings, commands)


def _few(chosen: int, count: int, looked_at: int) -> tuple[str, ...]:
    if chosen == count:
        return ()
    return (f"only {chosen} of {looked_at} fields show something that no other does; give more of them for {count}.",)


def _few_slides(chosen: list[ChosenField]) -> tuple[str, ...]:
    if (n := len({each.slide for each in chosen})) >= MIN_SLIDES:
        return ()
    refused = ", and a training on one alone is refused" if n == 1 else ""
    return (
        f"they are of {n} slide{'' if n == 1 else 's'} as far as names tell, and whole slides have to be held back{refused}: "
        f"before you annotate, give fields of at least {MIN_SLIDES}, and say by --slide-by how a name tells its slide, or keep "
        "each in a folder and give a glob ('slides/*/*').",
    )


def _scale_doubt(source: str, um_per_px: float) -> tuple[str, ...]:
    """Boxes annotated at a wrong scale are all the wrong size for the model; too few red cells say nothing."""
    try:
        found = check_scale(source, um_per_px, _SCALE_FIELDS)
    except DataError:
        return ()
    if not found.contradicts(um_per_px):
        return ()
    return (f"{found.sentence(um_per_px)} Settle that first: off by over {100 * CONTRADICTS:.0f} %, it costs more than types.",)


def _commands(out: Path, bundle: Bundle) -> tuple[str, ...]:
    """Train, and write the bundle."""
    here, run = str(out), f"runs/{out.name}"
    fit = ["leuko-train", "fit", "--start-from", str(bundle.path), "--data", str(out / DESCRIPTION), "--root", here]
    fit += ["--split-by", HOLD_BACK, "--out", run]
    return shlex.join(fit), shlex.join(["leuko-train", "export", f"{run}/last.pt", "--out", f"bundles/{out.name}"])
