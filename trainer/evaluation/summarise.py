"""From detections on annotated images to the figures of the reference's protocol (Wang et al. 2019)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.contracts.cells import INDEX, NAMES
from trainer.evaluation.average_precision import Curve, class_curve, leukocyte_curve, mean_of_known
from trainer.evaluation.bootstrap import bootstrap
from trainer.evaluation.cell_verdicts import (
    confusion_of,
    exact_limits,
    hits_of_class,
    shows_one_typed_cell,
    truth_rows,
    worst_errors,
)
from trainer.evaluation.detect import WARM_UP_IMAGES, ImageResult, true_wbc
from trainer.evaluation.false_cells import in_empty_images
from trainer.evaluation.presence_sweep import sweep
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.subsets import subsets_of
from trainer.evaluation.summary import (
    MAX_CURVE_POINTS,
    Abnormal,
    BootstrapLimits,
    ClassFigures,
    Counting,
    CurvePoints,
    Figure,
    Figures,
    FoldFigures,
    LeukocyteFigures,
    Spread,
    Times,
)

ABNORMAL = ("blast", "promyelocyte", "myelocyte", "metamyelocyte", "lymphocyte_reactive")
"""The classes of which the reference reports a mean AP of their own: 0.899 (SSD300), 0.882 (YOLOv3-320)."""


def summarise(
    results: Sequence[ImageResult],
    detect: float,
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008 - immutable
    *,
    root: Path | None = None,
    groups: Sequence[int] | None = None,
) -> Figures:
    """All figures of one list of results, of one model or pooled from several.

    `detect` is the presence threshold; `root` what image paths are given relative to; `groups` [results] which images are
    resampled together, the originals when not given. AP over pooled results ranks the scores of different models together:
    see `summarise_folds`.
    """
    typed, cells = [result.typed for result in results], [result.cells for result in results]
    curves = {name: class_curve(typed, index) for index, name in enumerate(NAMES)}
    wbc = leukocyte_curve(cells)
    rows = [truth_rows(result) for result in results]
    single = [k for k, result in enumerate(results) if shows_one_typed_cell(result)]
    by_source: dict[str, list[ImageResult]] = {}
    for result in results:
        by_source.setdefault(result.annotation.source, []).append(result)
    empty = in_empty_images(results)
    return Figures(
        images=len(results),
        wbc=_leukocyte(wbc, detect),
        wbc_ap_by_source={name: leukocyte_curve([r.cells for r in part]).ap for name, part in sorted(by_source.items())},
        classes={name: _class(curve, *hits_of_class(results, rows, INDEX[name])) for name, curve in curves.items()},
        map=mean_of_known([curve.ap for curve in curves.values()]),
        map_11_point=mean_of_known([curve.ap_11_point for curve in curves.values()]),
        abnormal=_abnormal(curves),
        counting=_counting(results),
        empty=empty,
        at_thresholds=sweep(results, empty.fields if empty is not None else 0.0),
        confusion=confusion_of([results[k] for k in single], [rows[k] for k in single]),
        confusion_all=confusion_of(results, rows),
        subsets=subsets_of(results, settings.small_below_um, settings.dense_from),
        time_ms=times_of(results),
        limits=_limits(list(curves.values()), wbc, results, groups, settings),
        missed=worst_errors(results, rows, root),
    )


def summarise_folds(
    parts: Sequence[Sequence[ImageResult]],
    detect: float,
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008 - immutable
    *,
    root: Path | None = None,
    groups: Sequence[int] | None = None,
) -> Figures:
    """Results of several models, one list each, pooled; `folds` holds each one's AP and their mean. `groups` as pooled."""
    pooled = [result for part in parts for result in part]
    each = [summarise(part, detect, settings.model_copy(update={"bootstrap_rounds": 0})) for part in parts]
    folds = FoldFigures(
        wbc_ap=tuple(one.wbc.ap for one in each),
        map=tuple(one.map for one in each),
        mean_wbc_ap=mean_of_known([one.wbc.ap for one in each]),
        mean_map=mean_of_known([one.map for one in each]),
        mean_map_11_point=mean_of_known([one.map_11_point for one in each]),
        mean_class_ap={name: mean_of_known([one.classes[name].ap for one in each]) for name in NAMES},
    )
    return summarise(pooled, detect, settings, root=root, groups=groups).model_copy(update={"folds": folds})


def _class(curve: Curve, right: int, called: int) -> ClassFigures:
    low, high = exact_limits(right, curve.n_truth)
    return ClassFigures(
        truth=curve.n_truth,
        ap=curve.ap,
        ap_11_point=curve.ap_11_point,
        recall=_share(right, curve.n_truth),
        recall_low=low,
        recall_high=high,
        precision=_share(right, called),
        curve=curve_points(curve),
    )


def _leukocyte(curve: Curve, detect: float) -> LeukocyteFigures:
    above = curve.scores >= detect
    found = int((curve.is_true & above).sum())
    return LeukocyteFigures(**_class(curve, found, int(above.sum())).model_dump())


def _abnormal(curves: dict[str, Curve]) -> Abnormal:
    ap = {name: curves[name].ap for name in ABNORMAL}
    unknown = [name for name in ABNORMAL if ap[name] is None]
    known = [name for name in ABNORMAL if name not in unknown]
    words = f"mean over {', '.join(known)}" if known else "no mean"
    if unknown:
        words += f"; no data: no image shows {', '.join(unknown)}"
    return Abnormal(classes=ABNORMAL, ap=ap, map=mean_of_known(list(ap.values())), words=words + ".")


def _counting(results: Sequence[ImageResult]) -> Counting:
    truth = np.array([true_wbc(result.annotation) for result in results])
    counted = np.array([result.counted_wbc for result in results])
    return Counting(
        true=int(truth.sum()), counted=int(counted.sum()), mean_absolute_error=float(np.abs(counted - truth).mean())
    )


def _limits(
    classes: Sequence[Curve],
    wbc: Curve,
    results: Sequence[ImageResult],
    groups: Sequence[int] | None,
    settings: EvaluationSettings,
) -> BootstrapLimits | None:
    if not settings.bootstrap_rounds:
        return None
    what = "groups of images that a split keeps together"
    if groups is None:
        what = "original images"
        numbers: dict[tuple[str, str], int] = {}
        groups = [numbers.setdefault((r.annotation.source, r.annotation.original), len(numbers)) for r in results]
    return bootstrap(classes, wbc, groups, f"{what}, {len(set(groups))} of them", settings.bootstrap_rounds, settings.seed)


def _share(part: int, whole: int) -> Figure:
    return part / whole if whole else None


def curve_points(curve: Curve) -> CurvePoints | None:
    """Where the curve turns: at each hit and just before the next; evenly thinned when that is over `MAX_CURVE_POINTS`.

    None without truth.
    """
    if not curve.n_truth:
        return None
    hits, n = np.flatnonzero(curve.is_true), len(curve.is_true)
    turns = np.unique(np.concatenate((hits, hits[hits > 0] - 1, [n - 1] if n else []))).astype(np.int64)
    if len(turns) > MAX_CURVE_POINTS:
        turns = turns[np.linspace(0, len(turns) - 1, MAX_CURVE_POINTS).round().astype(np.int64)]
    found = np.cumsum(curve.is_true)[turns]
    return CurvePoints(
        recall=_rounded(found / curve.n_truth),
        precision=_rounded(found / (turns + 1)),
        score=_rounded(curve.scores[turns]),
    )


def _rounded(values: np.ndarray[tuple[int], np.dtype[np.floating]]) -> tuple[float, ...]:
    return tuple(np.round(values.astype(np.float64), 5).tolist())


def times_of(results: Sequence[ImageResult]) -> Times:
    """Median and percentiles over all images that were not warm-up."""
    outside = f"without the first {WARM_UP_IMAGES} images of each engine"
    engine = [result.engine_ms for result in results if result.engine_ms is not None]
    whole = [result.whole_ms for result in results if result.whole_ms is not None]
    return Times(
        engine=spread_of(engine, f"the engine alone, batch 1, from its filled slot to its boxes; {outside}"),
        whole=spread_of(whole, f"fit, engine and post-processing, from the decoded image to its cells; {outside}"),
        on=tuple(sorted({result.engine for result in results})),
    )


def spread_of(times_ms: Sequence[float], timed: str) -> Spread:
    """Percentiles by linear interpolation (numpy's default); null without a time."""
    if not times_ms:
        return Spread(median=None, p95=None, p99=None, n=0, timed=timed)
    median, p95, p99 = (float(value) for value in np.percentile(times_ms, (50, 95, 99)))
    return Spread(median=median, p95=p95, p99=p99, n=len(times_ms), timed=timed)
