"""What a training says of itself: at its beginning, when it goes on, and at its end."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from trainer.checkpoint import BEST, LAST, Checkpoint
from trainer.data.annotation import Annotation
from trainer.data.compose.training_set import TrainingImages
from trainer.loop.best_so_far import IN_WORDS, BestSoFar
from trainer.loop.ranks import Ranks
from trainer.loop.training_log import LOSSES, steps_after
from trainer.loop.training_loop import Outcome
from trainer.loop.validation import Validator
from trainer.recipe import Recipe

LOOK = 10
"""Steps whose mean loss is told, at both ends of a run."""


def beginning(recipe: Recipe, annotations: Sequence[Annotation], ranks: Ranks) -> str:
    """What is trained on, by what, where."""
    where = f"{ranks}, {recipe.precision}" + (f", {ranks.count} processes" if ranks.count > 1 else "")
    cells = sum(len(row.labels) for row in annotations)
    every = f"a checkpoint every {recipe.checkpoint_every_steps} (`checkpoint_every_steps`) and at the end"
    return f"{len(annotations)} images, {cells} annotated cells; {recipe.name}, {recipe.total_steps} steps on {where}; {every}"


def resumed_words(previous: Checkpoint | None, out: Path) -> str:
    """From where it goes on, and what is done again."""
    if previous is None:
        return f"{out} holds no {LAST}: the training starts from the beginning."
    lost = steps_after(out / LOSSES, previous.step)
    again = f"; the {lost} after it were in no checkpoint and are done again" if lost else ""
    return f"going on after step {previous.step} of {previous.recipe.total_steps}{again}."


def nothing_left(previous: Checkpoint, last: Path) -> str:
    """Why a finished training does not go on."""
    if previous.step == previous.recipe.total_steps:
        return f"{last} has all its {previous.step} steps; there is nothing to go on with."
    since = previous.best_so_far["since_best"]
    return (
        f"the training of {last} ended itself after step {previous.step} of {previous.recipe.total_steps}, {since} validations "
        "after its best; there is nothing to go on with, unless with a larger `validation.patience`."
    )


def validation_words(validator: Validator | None, recipe: Recipe) -> str:
    """What is validated on, and what comes of it; empty where nothing is."""
    if validator is None:
        return ""
    settings, held_back = recipe.validation, validator.held_back
    every = f"every {settings.every_steps} steps" if settings.every_steps < recipe.total_steps else "after the last step"
    told = f"validated on {len(held_back.rows)} images of the split {held_back.split!r} {every} (`validation.every_steps`)"
    if not validator.keeps_best:
        return f"{told}; no {BEST} is kept: it is the weights at the end that are compared with the bundle."
    ends = f"; the training ends after {settings.patience} without better ones" if settings.patience else ""
    return f"{told}: {BEST} keeps the weights that are best by {IN_WORDS[settings.best_by]}{ends}."


def held_back_words(images: TrainingImages, data: Path, splits: str, split_by: str) -> str:
    """What there is to know of what can be measured on; empty where all is as one expects."""
    if not images.held_back:
        return (
            f"no image is held back: all of {data} are in the splits {splits!r} under --split-by {split_by}, and none is left "
            "to measure on; --split-by grouped:0.2 holds back a fifth."
        )
    if (n := images.held_back["val"]) and not images.held_back["test"]:
        return f"no image is in the split 'test': `evaluate` and `export` will measure on 'val', which has {n}."
    return ""


def left_out_words(images: TrainingImages) -> str:
    """Every image that could not be read, each on a line of its own."""
    if not images.left_out:
        return ""
    return "\n".join([f"\n{len(images.left_out)} images could not be read and were left out:", *images.left_out.values()])


def end(outcome: Outcome, last: Path, *, best: bool) -> str:
    """With which weights to export; `best` says whether the best ones are kept."""
    checkpoint = outcome.checkpoint
    speed = (
        f"{outcome.images_per_s:.1f} images/s, {outcome.waiting_share:.1%} of the time waiting for data "
        f"(after {outcome.start_up_s:.1f} s of start-up)"
    )
    if not outcome.finished:
        total = checkpoint.recipe.total_steps
        return f"stopped after {checkpoint.step} of {total} steps; go on with the same command and --resume. {speed}"
    if not outcome.loss:
        return f"nothing was left to train. {_weights(checkpoint, last, best=best)}"
    some = max(1, min(LOOK, len(outcome.loss) // 2))
    loss = f"loss {mean(outcome.loss[:some]):.3g} at first, {mean(outcome.loss[-some:]):.3g} at last (means of {some} steps)"
    since = checkpoint.best_so_far.get("since_best")
    early = f" and ended there, for {since} validations brought nothing better" if checkpoint.ended_early else ""
    trained = f"trained {checkpoint.step} steps in {duration(checkpoint.seconds)}{early}"
    return f"{trained}; {loss}; {speed}. {_weights(checkpoint, last, best=best)}"


def _weights(checkpoint: Checkpoint, last: Path, *, best: bool) -> str:
    """Where they are, and which to export."""
    so_far = BestSoFar.model_validate(checkpoint.best_so_far)
    if not best or so_far.best is None:
        return f"Weights in {last}; `leuko-train export` makes a bundle."
    file = last.with_name(BEST)
    return (
        f"The best weights, of step {so_far.best.step} ({so_far.best.in_words()}), are in {file}, the last in {last}; "
        f"`leuko-train export {file}` makes a bundle."
    )


def duration(seconds: float) -> str:
    """As one says it: 9 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
