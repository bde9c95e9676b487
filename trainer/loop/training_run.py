"""A training from its command line to its checkpoint: what is checked first, what is said, what is handed over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import torch
from rich.console import Console

from edge.contracts.errors import ConfigError, DataError
from trainer.checkpoint import Checkpoint, load_checkpoint, require_same
from trainer.data.annotation import Annotation
from trainer.data.compose.composer import Composer
from trainer.data.compose.training_set import TrainingImages, TrainingSet, load_training_images
from trainer.data.image_store import ImageStore
from trainer.data.provenance import code_version, describe, require_origins
from trainer.data.split_plan import parse_splits
from trainer.evaluation.own_colours import moved_tables
from trainer.loop.adaptation import ADAPT, Parent, compare_and_keep, forget_comparison, require_parent, reviewed
from trainer.loop.ranks import Ranks, choose_device, joined
from trainer.loop.training_log import LOSSES, steps_after
from trainer.loop.training_loop import LAST, Outcome, train
from trainer.overrides import parse_assignment
from trainer.recipe import DEFAULT_RECIPE, Recipe, load_recipe
from trainer.weights.pretrained import pretrained

LOOK = 10
"""Steps whose mean loss is told, at both ends of a run."""


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
) -> Outcome | None:
    """Train by a recipe, alone or as one of several processes that torchrun started; None when there was nothing left to do.

    Arguments as those of `leuko-train fit`. Where `start_from` is a bundle, it is compared with what came of it. Raises
    `ConfigError`, `BundleError` and `DataError`, most of them before an image is read.
    """
    parent = Parent.of(start_from) if start_from and start_from.is_dir() else None
    chosen = _recipe(recipe, parent, changes, seed, init)
    last = out / LAST
    # A run that died before its first checkpoint left no more than OUT itself.
    previous = _previous(last, chosen) if resume and (last.exists() or not out.is_dir()) else None
    if last.exists() and not resume:
        raise ConfigError(f"{last} is there already; add --resume to go on with it, or choose another --out.")
    if init and start_from:
        raise ConfigError("--init and --start-from both give weights; choose one of them.")
    if threads:
        torch.set_num_threads(threads)
    if not resume:
        forget_comparison(out)
    wanted = parse_splits(splits)
    # Before the images, which take a while.
    choose_device(device)
    require_origins(data)
    pretrain = pretrained(None if previous else chosen.init, lambda said: say(said, soft_wrap=True))
    origin = parent.checkpoint if parent else load_checkpoint(start_from) if start_from else None
    require_parent(previous, parent, last)
    doubts = reviewed(data, root) if parent else ""
    held_back = parent.held_back(data, root, split_by, wanted) if parent else []
    tables_of = moved_tables if chosen.colours == "moved" else None
    images = load_training_images(data, root, split_by, wanted, chosen.scale.um_per_px, out, tables_of)
    annotations = images.annotations
    if not annotations:
        raise ConfigError(f"no image of {data} is in the splits {splits!r}; look with `leuko-train data check`.")
    described = {**describe(data, annotations, images.left_out), "split_by": split_by, "splits": sorted(wanted)}
    _require_same_images(previous, described, last)
    if previous and previous.step == chosen.total_steps:
        done = f"{last} has all its {previous.step} steps; there is nothing to go on with."
        Console(stderr=True).print(done, markup=False, soft_wrap=True)
        compare_and_keep(parent, previous, held_back, out, device)
        return None
    with joined(device) as ranks:
        say = Console(stderr=True, quiet=not ranks.first, markup=False).print
        say(_beginning(chosen, annotations, ranks) + _left_out(images) + images.unused, soft_wrap=True)
        resumed = _resumed(previous, out) if resume else ""
        for words in filter(None, (resumed, doubts, _held_back_words(images, data, splits, split_by))):
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
        )
        say(_end(outcome, last) + _left_out(images) + images.unused, soft_wrap=True)
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


def _held_back_words(images: TrainingImages, data: Path, splits: str, split_by: str) -> str:
    """What there is to know of what can be measured on; empty where all is as one expects."""
    if not images.held_back:
        return (
            f"no image is held back: all of {data} are in the splits {splits!r} under --split-by {split_by}, and none is left "
            "to measure on; --split-by grouped:0.2 holds back a fifth."
        )
    if (n := images.held_back["val"]) and not images.held_back["test"]:
        return f"no image is in the split 'test': `evaluate` and `export` will measure on 'val', which has {n}."
    return ""


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


def _beginning(recipe: Recipe, annotations: list[Annotation], ranks: Ranks) -> str:
    where = f"{ranks}, {recipe.precision}" + (f", {ranks.count} processes" if ranks.count > 1 else "")
    cells = sum(len(row.labels) for row in annotations)
    every = f"a checkpoint every {recipe.checkpoint_every_steps} (`checkpoint_every_steps`) and at the end"
    return f"{len(annotations)} images, {cells} annotated cells; {recipe.name}, {recipe.total_steps} steps on {where}; {every}"


def _resumed(previous: Checkpoint | None, out: Path) -> str:
    if previous is None:
        return f"{out} holds no {LAST}: the training starts from the beginning."
    lost = steps_after(out / LOSSES, previous.step)
    again = f"; the {lost} after it were in no checkpoint and are done again" if lost else ""
    return f"going on after step {previous.step} of {previous.recipe.total_steps}{again}."


def _left_out(images: TrainingImages) -> str:
    """Every image that could not be read, each on a line of its own."""
    if not images.left_out:
        return ""
    return "\n".join([f"\n{len(images.left_out)} images could not be read and were left out:", *images.left_out.values()])


def duration(seconds: float) -> str:
    """As one says it: 9 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _end(outcome: Outcome, last: Path) -> str:
    checkpoint = outcome.checkpoint
    speed = (
        f"{outcome.images_per_s:.1f} images/s, {outcome.waiting_share:.1%} of the time waiting for data "
        f"(after {outcome.start_up_s:.1f} s of start-up)"
    )
    if not outcome.finished:
        total = checkpoint.recipe.total_steps
        return f"stopped after {checkpoint.step} of {total} steps; go on with the same command and --resume. {speed}"
    some = max(1, min(LOOK, len(outcome.loss) // 2))
    loss = f"loss {mean(outcome.loss[:some]):.3g} at first, {mean(outcome.loss[-some:]):.3g} at last (means of {some} steps)"
    weights = f"Weights in {last}; `leuko-train export` makes a bundle."
    return f"trained {checkpoint.step} steps in {duration(checkpoint.seconds)}; {loss}; {speed}. {weights}"
