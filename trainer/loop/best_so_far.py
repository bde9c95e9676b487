"""When a training looks at held-back images, which weights are the best so far, and when no better ones are waited for."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge.contracts.base import Strict
from trainer.evaluation.summary import Figure

BestBy = Literal["map", "wbc_ap", "loss"]

IN_WORDS: dict[BestBy, str] = {"map": "mean AP over types", "wbc_ap": "AP of any leukocyte", "loss": "loss"}

Validations = Annotated[int, Field(ge=1)]


class ValidationSettings(Strict):
    """How a training is measured on held-back images while it runs. It changes nothing of what is learned, but `patience` when
    it ends."""

    every_steps: int = Field(200, ge=0, description="and after the last step; 0: never")
    images: int | None = Field(None, ge=1, description="at most so many, evenly chosen of those held back; null: all")
    best_by: BestBy = Field(
        "map",
        description="what the best weights are chosen by; where no held-back cell has a type, wbc_ap stands for map, and where "
        "there is no leukocyte, loss for both",
    )
    patience: Validations | None = Field(
        None, description="validations in a row without better weights after which the training ends; null: it never does"
    )

    @model_validator(mode="after")
    def _looks_when_it_waits(self) -> "ValidationSettings":
        if self.patience and not self.every_steps:
            raise ValueError("`patience` counts validations, and with `every_steps` 0 there are none")
        return self


class ValidationFigures(Strict):
    """One validation, of the averaged weights after `step` steps. `loss` is normalised as in training, `terms` are its parts.

    A figure without truth to measure it on is null.
    """

    step: int
    images: int
    wbc_ap: Figure
    map: Figure
    loss: float
    terms: dict[str, float]

    def known_by(self, by: BestBy) -> BestBy:
        """What stands for `by` where it has no truth to be measured on."""
        if by == "map" and self.map is None:
            by = "wbc_ap"
        return "loss" if by == "wbc_ap" and self.wbc_ap is None else by

    def merit(self, by: BestBy) -> tuple[float, float]:
        """More is better. Of equal AP, as none at first or all at last, the smaller loss is the better."""
        ap = {"map": self.map, "wbc_ap": self.wbc_ap, "loss": None}[self.known_by(by)]
        return (0.0 if ap is None else ap, -self.loss)

    def in_words(self) -> str:
        """Of the figures there are."""
        ap = {"any leukocyte": self.wbc_ap, "mean over types": self.map}
        known = [f"{name} {value:.3f}" for name, value in ap.items() if value is not None]
        return "; ".join([*([f"AP: {', '.join(known)}"] if known else []), f"loss {self.loss:.3g}"])


class BestSoFar(Strict):
    """What the validations up to now have shown: goes into each checkpoint, so that a resumed training chooses and ends as if
    it had never stopped.

    `step` is that of the last one, `validations` counts them, `since_best` those after the best; `ended`: they were as many as
    the patience allowed.
    """

    step: int = 0
    validations: int = 0
    best: ValidationFigures | None = None
    last: ValidationFigures | None = None
    since_best: int = 0
    ended: bool = False

    def after(self, figures: ValidationFigures, settings: ValidationSettings) -> "BestSoFar":
        """With one more validation; it is the best when `since_best` is 0."""
        by = settings.best_by
        better = self.best is None or figures.merit(by) > self.best.merit(by)
        since = 0 if better else self.since_best + 1
        return BestSoFar(
            step=figures.step,
            validations=self.validations + 1,
            best=figures if better else self.best,
            last=figures,
            since_best=since,
        ).under(settings)

    def under(self, settings: ValidationSettings) -> "BestSoFar":
        """The same, for a training that goes on with perhaps more patience, or less."""
        return self.model_copy(update={"ended": settings.patience is not None and self.since_best >= settings.patience})

    def forgotten(self) -> "BestSoFar":
        """Nothing is known of the best weights any more."""
        return self.model_copy(update={"best": None, "last": None, "since_best": 0, "ended": False})

    def is_due(self, step: int, total: int, settings: ValidationSettings) -> bool:
        """Whether the weights after `step` of `total` steps are to be measured, and were not yet."""
        every = settings.every_steps
        return bool(every) and step > self.step and not self.ended and (step % every == 0 or step == total)

    def better_than_last(self) -> str:
        """A phrase when the best weights are not the last ones that were measured; empty otherwise."""
        if self.best is None or self.last is None or self.best.step == self.last.step:
            return ""
        return f"step {self.best.step} ({self.best.in_words()}) did better than step {self.last.step} ({self.last.in_words()})"
