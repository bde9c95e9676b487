"""The figures of one evaluation as data: what `evaluate --json` prints, reports are drawn from and a bundle stores reduced.

AP is average precision at IoU 0.5. A figure without truth to measure it on is null, never 0.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from edge.contracts.base import Fraction, Strict

MAX_CURVE_POINTS = 200
MAX_MISSED = 60

Figure = Annotated[float, Field(ge=0, le=1)] | None
Limits = tuple[Fraction, Fraction]
Box = tuple[float, float, float, float]


class CurvePoints(Strict):
    """Points of a precision-recall curve by falling score, at most about `MAX_CURVE_POINTS`; all three of one length.

    Precision is as measured, not the envelope that AP integrates.
    """

    recall: tuple[Fraction, ...]
    precision: tuple[Fraction, ...]
    score: tuple[float, ...]


class ClassFigures(Strict):
    """One class. `ap` is all-point, `ap_11_point` the reference's; recall (with exact 95 % limits) and precision are at the
    model's thresholds, where a cell that stays `unidentified` is not found as its class."""

    truth: int
    ap: Figure
    ap_11_point: Figure
    recall: Figure
    recall_low: Figure
    recall_high: Figure
    precision: Figure
    curve: CurvePoints | None = None


class LeukocyteFigures(ClassFigures):
    """Any leukocyte, whatever its type; recall and precision at the presence threshold."""


class Counting(Strict):
    """Leukocytes counted at the model's thresholds against leukocytes annotated."""

    true: int
    counted: int
    mean_absolute_error: float


class EmptyFields(Strict):
    """False leukocytes at the model's thresholds where nothing is annotated. `fields` is the images' area in fields of the
    reference's size (95 x 75 um); `high_per_1000` the exact (Poisson) bound that the true rate is below with 95 %."""

    images: int
    fields: float
    false_leukocytes: int
    per_1000: float
    high_per_1000: float


class Estimate(Strict):
    """A figure with its 95 % limits by resampling; all null where there is no truth. An error of counting may be negative."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class LaboratoryFigures(Strict):
    """One laboratory; recall and what follows at the model's thresholds. All limits are of 95 %.

    `um_per_px` by source is what it was measured at. `count_error` is counted over true, less 1. `types`: mean AP over classes
    with truth. `right_of_found` and `unidentified_of_found` are shares of `found_typed`, the found leukocytes of known type;
    the rest was called another class. `likeliest_of_found` takes the likeliest class, also where it is uncertain. `outside`
    counts what was found outside all annotated cells, `empty` what was found in images without any.
    """

    images: int
    leukocytes: int
    um_per_px: dict[str, float]
    ap: Estimate
    recall: Estimate
    precision: Estimate
    counted: int
    count_error: Estimate
    types: Estimate
    found_typed: int
    right_of_found: Estimate
    unidentified_of_found: Estimate
    likeliest_of_found: Estimate
    outside: EmptyFields
    empty: EmptyFields | None


class AtThreshold(Strict):
    """Leukocytes at another presence threshold; `false` over all images, `false_in_empty` in those without a cell."""

    detect: Fraction
    found: int
    missed: int
    false: int
    false_in_empty: int
    false_per_1000_empty: float | None


class Verdicts(Strict):
    """What became of the cells of some classes at the model's thresholds. `low` and `high` are exact 95 % limits of
    `right_or_unidentified`, the share of the found that is not called another class."""

    classes: tuple[str, ...]
    cells: int
    found: int
    right: int
    unidentified: int
    called_another: int
    right_or_unidentified: Figure
    low: Figure
    high: Figure


class Teaching(Strict):
    """Cells of classes that the model was taught on photographs, and of classes of which it saw none; `called` says of each of
    these how often it was called what. `elsewhere` repeats the untaught ones' part where they were measured on other images."""

    taught: Verdicts
    untaught: Verdicts
    called: dict[str, dict[str, int]]
    elsewhere: str = ""


class Abnormal(Strict):
    """The classes the reference reports a mean of their own for. `map` is over those with truth; `words` names the others."""

    classes: tuple[str, ...]
    ap: dict[str, Figure]
    map: Figure
    words: str


class Confusion(Strict):
    """Rows are true classes, columns predicted ones, then `unidentified` and `missed`.

    `counts` [classes, columns]; `shares` the same divided by the row's sum, null for a class without truth. `mean_accuracy` is
    the mean of the shares on the diagonal over classes with truth, as in the reference: unidentified and missed are wrong.
    `mean_accuracy_best_class` takes the likeliest class even where it is uncertain, as the reference did.
    """

    classes: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[Fraction, ...] | None, ...]
    mean_accuracy: Figure
    mean_accuracy_best_class: Figure
    n: int


class Subset(Strict):
    """AP on a part of the images or cells; `rule` says which, `truth` counts its cells."""

    rule: str
    images: int
    truth: int
    map: Figure
    wbc_ap: Figure


class Subsets(Strict):
    """The two conditions the reference tests apart."""

    small_cells: Subset
    dense: Subset


class Spread(Strict):
    """Milliseconds per image over `n` images; null when all of them were warm-up. `timed` says what was timed."""

    median: float | None
    p95: float | None
    p99: float | None
    n: int
    timed: str


class Times(Strict):
    """`engine`: the engine alone; `whole`: from the frame in memory to its cells. `on` names the engines."""

    engine: Spread
    whole: Spread
    on: tuple[str, ...]


_NO_TIME = Spread(median=None, p95=None, p99=None, n=0, timed="not kept")
NOT_TIMED = Times(engine=_NO_TIME, whole=_NO_TIME, on=())
"""Of a summary read back from a bundle, which keeps no times: they differ from run to run."""


class BootstrapLimits(Strict):
    """95 % limits by resampling; `resampled` says what was drawn. Null when no round had truth."""

    wbc_ap: Limits | None
    map: Limits | None
    rounds: int
    resampled: str


class FoldFigures(Strict):
    """One value per fold, and their mean: pooled AP ranks the scores of different models together, this does not."""

    wbc_ap: tuple[Figure, ...]
    map: tuple[Figure, ...]
    mean_wbc_ap: Figure
    mean_map: Figure
    mean_map_11_point: Figure
    mean_class_ap: dict[str, Figure]


class Miss(Strict):
    """One error at the model's thresholds. `image` is relative to the data root.

    missed: `box_px` is the truth's, `predicted` and `score` are of the best candidate below the threshold, if any.
    wrong type: a found cell of another class. false alarm: `truth` is null; `beside` and `beside_px` are the annotation that
    the box overlaps most, if any: it is a second box on that cell, or one that does not fit it.
    Boxes are x1 y1 x2 y2 in pixels of the image.
    """

    image: str
    source: str
    box_px: Box
    truth: str | None
    predicted: str | None
    score: float | None
    kind: Literal["missed", "wrong type", "false alarm"]
    beside: str | None = None
    beside_px: Box | None = None


class Figures(Strict):
    """All that is measured. `limits` only when asked for, `folds` only when several models were pooled."""

    images: int
    wbc: LeukocyteFigures
    wbc_ap_by_source: dict[str, Figure]
    classes: dict[str, ClassFigures]
    map: Figure
    map_11_point: Figure
    abnormal: Abnormal
    counting: Counting
    empty: EmptyFields | None = Field(None, description="images without an annotated cell; null when there is none")
    at_thresholds: tuple[AtThreshold, ...] = ()
    confusion: Confusion = Field(description="images with exactly one annotated cell, which is typed")
    confusion_all: Confusion = Field(description="every typed cell of every image")
    subsets: Subsets
    time_ms: Times = NOT_TIMED
    limits: BootstrapLimits | None = None
    folds: FoldFigures | None = None
    missed: tuple[Miss, ...] = Field((), description=f"errors, worst first, at most {MAX_MISSED}")


class MeasuredModel(Strict):
    """Which model was measured, one per fold when several were pooled. What nobody recorded of its training is null."""

    name: str
    bundle_id: str | None = None
    architecture: str
    training_s: float | None = None
    training_images_per_s: float | None = None
    training_on: str | None = None


class Summary(Figures):
    """Figures and what they were measured on. `date` is ISO 8601, of the measurement. `caution` says why the model may have
    been trained on some of these images; empty when its training held them all back."""

    models: tuple[MeasuredModel, ...] = ()
    date: str | None = None
    split: str
    split_by: str
    source: str | None
    engine: str
    command: str
    caution: str = ""
    laboratories: dict[str, LaboratoryFigures] = Field({}, description="with limits only; of folds, those that were left out")
    teaching: Teaching | None = Field(None, description="null: nobody knows what it was taught, or several models were pooled")

    def reduced(self) -> dict[str, Any]:
        """As JSON data without curves, single errors, times and the day: what a bundle stores, alike whenever it is written."""
        left_out: dict[str, Any] = {
            "wbc": {"curve"},
            "classes": {"__all__": {"curve"}},
            "missed": True,
            "at_thresholds": True,
            "models": True,
            "date": True,
            "time_ms": True,
            "laboratories": True,
        }
        return self.model_dump(mode="json", exclude=left_out)
