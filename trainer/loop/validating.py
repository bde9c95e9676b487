"""Validations in their place in a training: done when due, told, and the best weights kept with their errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.contracts.errors import DataError
from trainer.checkpoint import BEST, CHOSEN, load_checkpoint, save_checkpoint
from trainer.loop.best_so_far import IN_WORDS, BestSoFar, ValidationFigures
from trainer.loop.training_log import Clock, TrainingLog
from trainer.loop.training_pictures import WORST_ERRORS, write_picture
from trainer.loop.training_state import TrainingState
from trainer.loop.validation import Validated, Validator, validate
from trainer.reporting.error_sheet import error_sheet
from trainer.second_look.carried_look import Look


@dataclass(slots=True)
class Validating:
    """The validations of one run of a training; without a `validator` there are none. `log` is the first process's.

    `booked` says whether the last call of `done` did one: then a checkpoint is due, which knows of it.
    """

    training: TrainingState
    validator: Validator | None
    folder: Path
    log: TrainingLog | None
    clock: Clock
    booked: bool = False

    @property
    def is_due(self) -> bool:
        """Whether the weights as they are have still to be measured."""
        training = self.training
        due = training.so_far.is_due(training.step, training.recipe.total_steps, training.recipe.validation)
        return self.validator is not None and due

    def done(self, asked_to_stop: Callable[[], bool]) -> bool:
        """Validate if it is due; False when the training was asked to stop meanwhile, and the validation is still to be done.

        Raises as `validate`, and `DataError` when the best weights cannot be written.
        """
        self.booked = False
        training, validator = self.training, self.validator
        settings = training.recipe.validation
        if validator is None or not self.is_due:
            return True
        with self.clock.aside():
            before = self.clock.seconds
            look = Look.of_kept(training.look)
            found = validate(validator, training.average, look, training.recipe, training.step, training.ranks, asked_to_stop)
            if found is None:
                return False
            so_far = training.so_far.after(found.figures, settings)
            # All processes end together, as the first one says.
            training.so_far = so_far.model_copy(update={"ended": training.ranks.any(training.ranks.first and so_far.ended)})
            self.booked = True
            if self.log:
                self._keep(found, validator, self.log, self.clock.seconds - before)
        return True

    def _keep(self, found: Validated, validator: Validator, log: TrainingLog, seconds: float) -> None:
        log.validated(self.training.so_far, seconds)
        if self.training.so_far.since_best:
            return
        if validator.keeps_best:
            chosen = self.training.snapshot(self.clock.seconds)
            about = how_chosen(found.figures, self.training)
            save_checkpoint(self.folder / BEST, replace(chosen, data={**chosen.data, CHOSEN: about}))
        path = self.folder / WORST_ERRORS
        sheet = error_sheet(found.results, validator.held_back.image, validator.held_back.root)
        if sheet is None:
            path.unlink(missing_ok=True)  # that of weights that were worse
        elif write_picture(path, sheet, log.say):
            log.picture(path, found.figures.step)


def how_chosen(figures: ValidationFigures, training: TrainingState) -> dict[str, object]:
    """What a checkpoint says of weights that were chosen by a validation."""
    return {
        "after_step": figures.step,
        "of_steps": training.recipe.total_steps,
        "by": IN_WORDS[figures.known_by(training.recipe.validation.best_by)],
        **figures.model_dump(mode="json", exclude={"step", "terms"}),
    }


def reconciled(so_far: BestSoFar, folder: Path) -> tuple[BestSoFar, str]:
    """What a training that goes on knows of its best weights, if `best.pt` still holds them, and what to say if it does not.

    A run that died between a best validation and the checkpoint after it has left the weights of a step that is done again: the
    validation finds them again, and they are better than those forgotten here.
    """
    if so_far.best is None:
        return so_far, ""
    try:
        step = load_checkpoint(folder / BEST).step
    except DataError as problem:
        return so_far.forgotten(), f"the best weights are chosen anew from here on: {problem}"
    return (so_far, "") if step == so_far.best.step else (so_far.forgotten(), "")
