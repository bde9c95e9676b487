"""Cross-validation: each fold of the images held back once, measured by a model that never saw it."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch
from rich.console import Console

from edge.contracts.bundle import Thresholds
from edge.contracts.errors import ConfigError
from trainer.checkpoint import LAST, load_checkpoint
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.groups import groups_of
from trainer.data.readers.description import Description, load_description
from trainer.data.source_files import read_image
from trainer.data.split import folds_of
from trainer.evaluation.detect import NO_CORRECTIONS, ImageResult, results_of
from trainer.evaluation.fold_models import model_of_fold, parse_models
from trainer.evaluation.fold_summaries import AS_THEY_ARE, Ways, summary_file, writing
from trainer.evaluation.laboratory_figures import by_laboratory
from trainer.evaluation.own_colours import own_corrections
from trainer.evaluation.own_scale import rescaled
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.summarise import summarise_folds
from trainer.evaluation.summary import Summary
from trainer.evaluation.target import Target
from trainer.export.reference_colours import reference_colours
from trainer.loop.training_run import run_training
from trainer.overrides import parse_assignment
from trainer.recipe import Recipe, load_recipe


@dataclass(frozen=True, slots=True)
class Folds:
    """The images, the group of each, and row numbers: what each fold holds back, and what of that is measured."""

    rows: list[Annotation]
    groups: list[int]
    held_back: list[list[int]]
    measured: list[list[int]]


def measure_folds(
    data: Path,
    root: Path,
    out: Path,
    recipe: str,
    changes: Sequence[str],
    folds: int,
    seed: int,
    source: str | None,
    models: Sequence[str],
    rounds: int,
    *,
    device: str,
    threads: int | None,
    leave_out: str | None = None,
    only: Sequence[str] = (),
    ways: Ways = AS_THEY_ARE,
) -> Summary | None:
    """Figures over all images, each judged by the model of the fold that held it back; None when a training was stopped.

    Arguments as on the command line; `only` are the laboratories to leave out, all of them when none is named. Raises
    `ConfigError`, and `DataError` also for an image that cannot be read: an evaluation leaves none out.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "crossvalidate is one process; train with torchrun and `fit --split-by fold:K/N:SEED --out OUT/foldK`, then let "
            "crossvalidate measure those folds."
        )
    if threads:
        torch.set_num_threads(threads)  # of the measurements, too: a fold that is there is not trained
    say = Console(stderr=True).print
    description = load_description(data)
    laboratories = _laboratories(description) if leave_out else {}
    folds = len(laboratories) or folds
    asked = _asked(list(laboratories), only) or list(range(folds))
    there = parse_models(models, folds)
    chosen = _recipe(recipe, changes, ways)
    # Before the images and the trainings, which take hours.
    with writing(summary_file(out, source, only, ways)):
        out.mkdir(parents=True, exist_ok=True)
    plans = [f"source:{'+'.join(sources)}" for sources in laboratories.values()]
    plans = plans or [f"fold:{fold}/{folds}:{seed}" for fold in range(folds)]
    images = _divided(data, root, folds, seed, source, list(laboratories.values()))
    last = [out / f"fold{fold}" / LAST for fold in range(folds)]

    def model(fold: int, path: Path) -> Target:
        held = images.held_back[fold]
        return model_of_fold(path, plans[fold], chosen, images.rows, held, device, mirrored=ways.mirrored)

    own = {fold: last[fold] for fold in asked if fold not in there and last[fold].exists()}
    ready = there | {fold: path for fold, path in own.items() if load_checkpoint(path).finished}
    known = {fold: model(fold, path) for fold, path in ready.items() if fold in asked}
    targets: list[Target] = []
    parts: list[list[ImageResult]] = []
    for fold in asked:
        path = last[fold]
        say(f"fold {fold + 1} of {folds}{f', without {list(laboratories)[fold]}' if laboratories else ''}")
        if fold not in known:
            begun = path.exists()
            outcome = run_training(
                data,
                root,
                path.parent,
                recipe,
                changes,
                split_by=plans[fold],
                resume=begun,
                device=device,
                threads=threads,
                validates=False,
            )
            if outcome and not outcome.finished:
                say("the folds that are done are kept; the same crossvalidate command goes on here.")
                return None
        targets.append(known.get(fold) or model(fold, path))
        parts.append(_measured(targets[-1], images, fold, ways, description.laboratories))
    detect = Thresholds().detect  # that of every target: see `model_of_fold`
    groups = [images.groups[number] for fold in asked for number in images.measured[fold]]
    settings = EvaluationSettings(bootstrap_rounds=rounds)
    figures = summarise_folds(parts, detect, settings, root=root, groups=groups)
    names = [list(laboratories)[fold] for fold in asked] if laboratories else []
    given = ["--recipe", recipe, *(word for change in changes for word in ("--set", change))]
    given += [word for fold, path in there.items() for word in ("--model", f"{fold}={path.name}")]
    given += ["--device", device] if device != "auto" else []
    given += ["--source", source] if source else []
    given += ["--leave-out", leave_out] if leave_out else ["--folds", str(folds), "--seed", str(seed)]
    given += [word for name in only for word in ("--laboratory", name)]
    given += [f"--{word}" for word in ways.words]
    words = [*given, "--rounds", str(rounds)]
    return Summary(
        **dict(figures),
        models=tuple(target.model for target in targets),
        date=datetime.now(timezone.utc).date().isoformat(),
        split="test",
        split_by=f"laboratories: {', '.join(names)}" if names else f"fold:0..{folds - 1}/{folds}:{seed}",
        source=source,
        engine=", ".join(figures.time_ms.on),
        command=shlex.join(["leuko-train", "crossvalidate", "--data", data.name, "--root", "DIR", *words]),
        laboratories=by_laboratory(
            [result for part in parts for result in part], detect, groups, description.laboratories, settings
        )
        if laboratories
        else {},
    )


def _recipe(recipe: str, changes: Sequence[str], ways: Ways) -> Recipe:
    """Raises `ConfigError` for one that cannot be measured like that."""
    chosen = load_recipe(recipe, dict(parse_assignment(change) for change in changes))
    if chosen.colours == "moved" and not ways.colours:
        raise ConfigError(f"recipe {recipe} trains on moved colours, so it is measured on moved ones: add --colours.")
    if chosen.validation.patience:
        said = "`validation.patience` is left aside: each fold is trained to its last step, for what it holds back is measured."
        Console(stderr=True, markup=False).print(said, soft_wrap=True)
    return chosen


def _measured(target: Target, images: Folds, fold: int, ways: Ways, laboratories: Mapping[str, str]) -> list[ImageResult]:
    """What `target` finds in the images of a fold; their colours are moved to those of all others."""
    rows = [images.rows[number] for number in images.measured[fold]]
    rows = rescaled(rows) if ways.scale else rows
    moved = NO_CORRECTIONS
    if ways.colours:
        held = set(images.held_back[fold])
        seen = [row for number, row in enumerate(images.rows) if number not in held]
        moved = own_corrections(rows, reference_colours(seen, laboratories))
    return list(results_of(target, rows, moved))


def _asked(laboratories: Sequence[str], only: Sequence[str]) -> list[int]:
    """Numbers of the folds that `only` names, in the order of all. Raises `ConfigError` for a name that is none."""
    if only and not laboratories:
        raise ConfigError("--laboratory names one that is left out: add --leave-out laboratories.")
    if unknown := [name for name in only if name not in laboratories]:
        raise ConfigError(f"--laboratory {unknown[0]!r} is not described; there are {', '.join(laboratories)}.")
    return [number for number, name in enumerate(laboratories) if name in only]


def _laboratories(description: Description) -> dict[str, list[str]]:
    """Sources by laboratory, in the order of their names. Raises `ConfigError` when there is but one."""
    found: dict[str, list[str]] = {}
    for source, laboratory in sorted(description.laboratories.items()):
        found.setdefault(laboratory, []).append(source)
    if len(found) < 2:
        raise ConfigError("all sources described are of one laboratory, so that none can be left out; correct `laboratory`.")
    return dict(sorted(found.items()))


def _divided(
    data: Path, root: Path, folds: int, seed: int, source: str | None, left_out: Sequence[Sequence[str]] = ()
) -> Folds:
    """`left_out`: the sources that each fold holds back; without, the images are divided."""
    rows = load_datasets(data, root)
    # Better to meet a damaged image now than after hours of training.
    for row in rows:
        read_image(row.path)
    groups = groups_of(rows, load_description(data).group_patterns)
    if left_out:
        held_back = [[number for number, row in enumerate(rows) if row.source in sources] for sources in left_out]
    else:
        held_back = folds_of(rows, groups, folds, seed)
    measured = [[number for number in held if source in {None, rows[number].source}] for held in held_back]
    if not (any(measured) if left_out else all(measured)):
        known = ", ".join(sorted({row.source for row in rows}))
        raise ConfigError(f"a fold holds no image of the source {source!r}; the sources are {known}, or use fewer folds.")
    return Folds(rows, groups, held_back, measured)
