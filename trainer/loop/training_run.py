"""A training from its command line to its checkpoint: what is checked first, what is said, what is handed over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from edge.contracts.bundle import Thresholds
from edge.contracts.errors import ConfigError, DataError
from trainer.checkpoint import BEST, LAST, VALIDATED_ON, Checkpoint, load_checkpoint, require_same
from trainer.data.annotation import Annotation, without_types
from trainer.data.compose.composer import Composer
from trainer.data.compose.training_set import TrainingImages, TrainingSet, load_training_images
from trainer.data.image_store import ImageStore
from trainer.data.provenance import code_version, describe, require_origins
from trainer.data.readers.description import load_description
from trainer.data.split_plan import parse_splits
from trainer.evaluation.detect import NO_CORRECTIONS
from trainer.evaluation.own_colours import moved_tables, own_corrections
from trainer.export.reference_colours import reference_colours
from trainer.loop.adaptation import (
    ADAPT,
    Parent,
    compare_and_keep,
    forget_comparison,
    require_parent,
    reviewed,
    thresholds_of,
)
from trainer.loop.best_so_far import BestSoFar
from trainer.loop.boards import chosen_boards
from trainer.loop.ranks import choose_device, joined
from trainer.loop.training_loop import Outcome, train
from trainer.loop.training_words import (
    beginning,
    end,
    held_back_words,
    left_out_words,
    nothing_left,
    resumed_words,
    validation_words,
)
from trainer.loop.validating import reconciled
from trainer.loop.validation import Validator
from trainer.overrides import parse_assignment
from trainer.recipe import DEFAULT_RECIPE, Recipe, load_recipe
from trainer.weights.pretrained import pretrained


def run_training(
    data: Path,
    root: Path,
    out: Path,
    recipe: str | None,
    changes: Sequence[str] = (),
    *,
    splits: str = "train",
    split_by: str = "given",
    seed: int | None = None,
    init: Path | None = None,
    start_from: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    loggers: Sequence[str] = (),
    validates: bool = True,
) -> Outcome | None:
    """Train by a recipe, alone or as one of several processes that torchrun started; None when there was nothing left to do.

    Arguments as those of `leuko-train fit`; with `validates` false the images held back are not looked at. Where `start_from`
    is a bundle, it is compared with what came of it. Raises `ConfigError`, `BundleError` and `DataError`, most of them before
    an image is read.
    """
    parent = Parent.of(start_from) if start_from and start_from.is_dir() else None
    chosen = _recipe(recipe, parent, changes, seed, init)
    last = out / LAST
    validates = validates and chosen.validation.every_steps > 0
    # A run that died before its first checkpoint left no more than OUT itself.
    previous = _previous(last, chosen) if resume and (last.exists() or not out.is_dir()) else None
    if not resume and (there := next((file for file in (last, out / BEST) if file.exists()), None)):
        raise ConfigError(f"{there} is there already; add --resume to go on with it, or choose another --out.")
    if init and start_from:
        raise ConfigError("--init and --start-from both give weights; choose one of them.")
    if threads:
        torch.set_num_threads(threads)
    if not resume:
        forget_comparison(out)
    wanted = parse_splits(splits)
    # Before the images, which take a while.
    choose_device(device)
    boards = chosen_boards(loggers)
    require_origins(data)
    pretrain = pretrained(None if previous else chosen.init, lambda said: say(said, soft_wrap=True))
    origin = parent.checkpoint if parent else load_checkpoint(start_from) if start_from else None
    require_parent(previous, parent, last)
    doubts = reviewed(data, root) if parent else ""
    held_back = parent.held_back(data, root, split_by, wanted) if parent else []
    tables_of = moved_tables if chosen.colours == "moved" else None
    field = (chosen.scale.um_per_px, chosen.scale.width_px, chosen.scale.height_px)
    images = load_training_images(
        data, root, split_by, wanted, field, out, tables_of, validate=validates, at_most=chosen.validation.images
    )
    annotations = without_types(images.annotations, chosen.leave_out)
    if not annotations:
        raise ConfigError(f"no image of {data} is in the splits {splits!r}; look with `leuko-train data check`.")
    described = {**describe(data, annotations, images.left_out), "split_by": split_by, "splits": sorted(wanted)}
    _require_same_images(previous, described, last)
    validator = _validator(images, chosen, data, previous, parent, waits=validates and chosen.validation.patience is not None)
    described |= {VALIDATED_ON: validator.held_back.about()} if validator else {}
    previous, of_best = _taken_up(previous, chosen, out, validator)
    if previous and previous.finished and not (validator and _to_validate(previous, chosen)):
        Console(stderr=True).print(nothing_left(previous, last), markup=False, soft_wrap=True)
        compare_and_keep(parent, previous, held_back, out, device)
        return None
    with joined(device) as ranks:
        say = Console(stderr=True, quiet=not ranks.first, markup=False).print
        say(beginning(chosen, annotations, ranks) + left_out_words(images) + images.unused, soft_wrap=True)
        resumed = resumed_words(previous, out) if resume else ""
        held = held_back_words(images, data, splits, split_by)
        for words in filter(None, (resumed, doubts, held, validation_words(validator, chosen), of_best)):
            say(words, soft_wrap=True)
        if chosen.init and not chosen.init.path and not start_from and not previous:
            say(
                f"{chosen.name} is meant to start from pretrained {chosen.init.format} weights; without --init they are random."
            )
        outcome = train(
            chosen,
            training_sets(chosen, annotations, images.store),
            out,
            {**described, "hardware": str(ranks), "code_version": code_version()},
            resume=previous,
            start_from=origin,
            pretrain=pretrain,
            ranks=ranks,
            validator=validator,
            boards=boards,
        )
        said = end(outcome, last, best=bool(validator and validator.keeps_best))
        say(said + left_out_words(images) + images.unused, soft_wrap=True)
    if outcome.finished and ranks.first:
        compare_and_keep(parent, outcome.checkpoint, held_back, out, device)
    return outcome


def _recipe(recipe: str | None, parent: Parent | None, changes: Sequence[str], seed: int | None, init: Path | None) -> Recipe:
    """That of the command line; where it names none, the one that fits the start, with the network of the bundle."""
    named = recipe or (ADAPT if parent else DEFAULT_RECIPE)
    network = parent.network() if parent and not recipe else {}
    return load_recipe(named, {**network, **_overrides(changes, seed, init, named)})


def _require_same_images(previous: Checkpoint | None, described: Mapping[str, object], last: Path) -> None:
    if previous and previous.data.get("sha256", described["sha256"]) != described["sha256"]:
        raise DataError(
            f"the images or annotations are not those that {last} was trained on; restore them, or use --start-from."
        )


def _validator(
    images: TrainingImages,
    recipe: Recipe,
    data: Path,
    previous: Checkpoint | None,
    parent: Parent | None,
    *,
    waits: bool,
) -> Validator | None:
    """What is validated on, with colours moved like those that are trained on. The child of a bundle has its thresholds, and
    its last weights are compared with it.

    Raises `ConfigError` where nothing is held back and the training `waits` for better figures.
    """
    if images.validated_on is None and waits:
        raise ConfigError(
            "`validation.patience` waits for better figures on images held back, and none is; "
            "--split-by grouped:0.2 holds back a fifth."
        )
    if images.validated_on is None:
        return None
    thresholds = parent.bundle.manifest.thresholds if parent else Thresholds()
    thresholds = thresholds_of(previous) if previous else thresholds
    corrections = NO_CORRECTIONS
    if recipe.colours == "moved":
        known = reference_colours(images.annotations, load_description(data).laboratories)
        corrections = own_corrections(images.validated_on.rows, known)
    return Validator(images.validated_on, thresholds, parent is None, corrections)


def _taken_up(
    previous: Checkpoint | None, recipe: Recipe, out: Path, validator: Validator | None
) -> tuple[Checkpoint | None, str]:
    """A checkpoint to go on from, with what still holds of its best weights; and what to say if something does not."""
    if previous is None:
        return None, ""
    so_far = BestSoFar.model_validate(previous.best_so_far).under(recipe.validation)
    if validator is None:
        return replace(previous, best_so_far=so_far.model_dump(mode="json")), ""
    about, words = validator.held_back.about(), ""
    if so_far.best and previous.data.get(VALIDATED_ON, about) != about:
        so_far, words = so_far.forgotten(), "other images are validated on than before: the best weights are chosen anew."
    elif so_far.best and previous.recipe.validation.best_by != recipe.validation.best_by:
        so_far, words = so_far.forgotten(), "`validation.best_by` is another than before: the best weights are chosen anew."
    elif validator.keeps_best:
        so_far, words = reconciled(so_far, out)
    data = {**previous.data, VALIDATED_ON: about}
    return replace(previous, data=data, best_so_far=so_far.model_dump(mode="json")), words


def _to_validate(previous: Checkpoint, recipe: Recipe) -> bool:
    return BestSoFar.model_validate(previous.best_so_far).is_due(previous.step, recipe.total_steps, recipe.validation)


def training_sets(recipe: Recipe, annotations: list[Annotation], store: ImageStore | None = None) -> list[TrainingSet]:
    """One per phase; they share the decoded images, those of `store` if it is given."""
    composer = Composer(store or ImageStore(recipe.scale.um_per_px), annotations, recipe.compose)
    result = []
    for number, phase in enumerate(recipe.phases):
        width, height, network_w, network_h = recipe.phase_sizes_px(phase)
        seed = recipe.seed * 1000 + number
        result.append(TrainingSet(composer, recipe.augment, seed, width, height, (network_w, network_h)))
    return result


def _overrides(changes: Sequence[str], seed: int | None, init: Path | None, recipe: str) -> dict[str, object]:
    result = dict(parse_assignment(change) for change in changes)
    if seed is not None:
        result["seed"] = seed
    if init is not None:
        if load_recipe(recipe).init is None:
            architecture = str(result.get("architecture", load_recipe(recipe).architecture))
            result["init.format"] = "vgg16" if architecture.startswith("ssd") else "darknet"
        result["init.path"] = str(init)
    return result


def _previous(last: Path, chosen: Recipe) -> Checkpoint:
    previous = load_checkpoint(last)
    require_same(previous.recipe, chosen, last)
    return previous
