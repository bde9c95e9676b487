"""A model measured on the images of a split: which images, its figures, and the command that repeats them."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.contracts.bundle import Bundle
from edge.contracts.choices import Precision
from edge.contracts.errors import ConfigError
from trainer.data.annotation import Annotation
from trainer.data.check.unused import unused_words
from trainer.data.datasets import load_datasets
from trainer.data.faults import Noted
from trainer.data.groups import groups_of
from trainer.data.readers.description import load_description
from trainer.data.split_plan import parse_splits
from trainer.evaluation.detect import NO_CORRECTIONS, results_of
from trainer.evaluation.fold_summaries import AS_THEY_ARE, Ways
from trainer.evaluation.laboratory_figures import by_laboratory
from trainer.evaluation.own_colours import own_corrections
from trainer.evaluation.own_scale import rescaled
from trainer.evaluation.presence_sweep import GRID
from trainer.evaluation.settings import DENSE_FROM, SMALL_BELOW_UM, EvaluationSettings
from trainer.evaluation.summarise import summarise
from trainer.evaluation.summary import Summary
from trainer.evaluation.target import Target, bundle_target
from trainer.evaluation.teaching import teaching_of

DEFAULT_SETTINGS = EvaluationSettings()

TEST, VAL = "test", "val"
"""What is measured on; many data sets are divided into train and val only."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Images to measure a model on, and by what they were chosen."""

    rows: list[Annotation]
    data: Path
    root: Path
    split: str
    split_by: str
    source: str | None = None


def measure_split(
    target: Target,
    data: Path,
    root: Path,
    split: str | None,
    source: str | None = None,
    split_by: str | None = None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    precision: Precision = "auto",
    *,
    ways: Ways = AS_THEY_ARE,
) -> Summary:
    """Figures of a model on one split, divided as for its training when `split_by` does not say otherwise.

    Without a `split` that is `test`, or `val` where nothing is. `precision` is what `target` was opened with. Raises
    `ConfigError` when the split holds no image.
    """
    images = choose(data, root, split, split_by or target.split_by, source)
    return measure(target, images, settings, precision, ways=ways)


def choose(data: Path, root: Path, split: str | None, split_by: str, source: str | None = None) -> Chosen:
    """The images of a split under the division `split_by`; of `test` where no split is given, or of `val` if nothing is `test`,
    which is said on standard error. Raises `ConfigError` when there is none."""
    wanted = parse_splits(split or TEST)
    faults = Noted()
    read = load_datasets(data, root, split_by, faults)
    if words := unused_words(data, root, read, {}, faults.book):
        Console(stderr=True, markup=False).print(words.strip(), soft_wrap=True)
    of_source = [row for row in read if source in (None, row.source)]
    rows = [row for row in of_source if row.split in wanted]
    whose = f" from {source!r}" if source else ""
    if not rows and split is None and (rows := [row for row in of_source if row.split == VAL]):
        said = f"no image of {data}{whose} is in the split {TEST!r}; measured is on {VAL!r}, {len(rows)} images."
        Console(stderr=True, markup=False).print(said, soft_wrap=True)
        split = VAL
    split = split or TEST
    if not rows:
        raise ConfigError(f"no image of {data} is in split {split!r}{whose} under --split-by {split_by}; choose another split.")
    return Chosen(rows, data, root, split, split_by, source)


def measure(
    target: Target,
    images: Chosen,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    precision: Precision = "auto",
    *,
    ways: Ways = AS_THEY_ARE,
) -> Summary:
    """Figures of a model on the images chosen; `precision` is what `target` was opened with, and `ways.mirrored` is its own
    affair. With limits, each laboratory has figures of its own, too.
    """
    rows = rescaled(images.rows) if ways.scale else images.rows
    if target.recipe.get("colours") == "moved":
        raise ConfigError("this training saw moved colours only; `leuko-train crossvalidate --colours` measures it on such.")
    corrections = own_corrections(rows, target.reference_colours) if ways.colours else NO_CORRECTIONS
    results = list(results_of(target, rows, corrections, GRID if settings.other_thresholds else ()))
    description = load_description(images.data)
    groups = groups_of(rows, description.group_patterns) if settings.bootstrap_rounds else None
    figures = summarise(results, target.thresholds.detect, settings, root=images.root, groups=groups)
    return Summary(
        **dict(figures),
        models=(target.model,),
        date=datetime.now(timezone.utc).date().isoformat(),
        split=images.split,
        split_by=images.split_by,
        source=images.source,
        engine=", ".join(sorted({result.engine for result in results})),
        command=_command(images, settings, precision, target.engine_options, ways),
        teaching=teaching_of(figures.confusion_all, target.taught) if target.taught is not None else None,
        caution=target.caution([row.path for row in rows], images.split_by, parse_splits(images.split)),
        laboratories=by_laboratory(results, target.thresholds.detect, groups, description.laboratories, settings)
        if groups
        else {},
    )


def draft_measure(
    data: Path, root: Path | None, split: str | None, split_by: str, untaught: Path | None = None
) -> Callable[[Bundle], dict[str, Any]]:
    """What measures a draft of a bundle on `split`. Its images are chosen now: that there is none is said before the export.

    `untaught`: description of images of cells that it was never taught; what it calls them goes into its figures, too.

    Raises `ConfigError`, also without a `root`.
    """
    if root is None:
        raise ConfigError("to measure the bundle give both --data and --root.")
    images = choose(data, root, split, split_by)
    others = choose(untaught, root, None, "given") if untaught else None

    def measured(draft: Bundle) -> dict[str, Any]:
        target = bundle_target(draft)
        summary = measure(target, images)
        if others and summary.teaching:
            seen = measure(target, others)
            if seen.teaching:
                taught = {"taught": summary.teaching.taught, "elsewhere": seen.command}
                summary = summary.model_copy(update={"teaching": seen.teaching.model_copy(update=taught)})
        return summary.reduced()

    return measured


def _command(
    images: Chosen, settings: EvaluationSettings, precision: Precision, engine_options: tuple[str, ...], ways: Ways
) -> str:
    """What repeats these figures."""
    words = [
        "leuko-train",
        "evaluate",
        "TARGET",
        "--data",
        images.data.name,
        "--root",
        "DIR",
        "--split-by",
        images.split_by,
        "--split",
        images.split,
    ]
    words += ["--source", images.source] if images.source else []
    words += ["--small-um", f"{settings.small_below_um:g}"] if settings.small_below_um != SMALL_BELOW_UM else []
    words += ["--dense-from", str(settings.dense_from)] if settings.dense_from != DENSE_FROM else []
    words += ["--bootstrap", "--rounds", str(settings.bootstrap_rounds)] if settings.bootstrap_rounds else []
    words += ["--precision", precision] if precision != "auto" else []
    words += [f"--{word}" for word in ways.words]
    words += ["--thresholds"] if settings.other_thresholds else []
    words += engine_options
    return shlex.join(words)
