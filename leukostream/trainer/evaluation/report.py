"""The figures of one evaluation, as data and as a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from leukostream.edge.contracts.cells import CELLS
from leukostream.trainer.evaluation.average_precision import Curve, class_curve, leukocyte_curve
from leukostream.trainer.evaluation.detect import ImageResult, true_wbc


def summarise(results: Sequence[ImageResult], detect: float) -> dict[str, Any]:
    """AP at IoU 0.5 of any leukocyte and per class, recall and precision of any leukocyte at `detect`, and counting."""
    typed = [result.typed for result in results]
    classes = {cell.name: class_curve(typed, index) for index, cell in enumerate(CELLS)}
    known = [curve.ap for curve in classes.values() if curve.ap is not None]
    truth = np.array([true_wbc(result.annotation) for result in results])
    counted = np.array([result.counted_wbc for result in results])
    wbc = leukocyte_curve([result.cells for result in results])
    by_source: dict[str, list[ImageResult]] = {}
    for result in results:
        by_source.setdefault(result.annotation.source, []).append(result)
    return {
        "images": len(results),
        "wbc": {"truth": wbc.n_truth, "ap": wbc.ap, **_operating(wbc, detect)},
        "wbc_ap_by_source": {
            name: leukocyte_curve([result.cells for result in part]).ap for name, part in sorted(by_source.items())
        },
        "classes": {name: {"truth": curve.n_truth, "ap": curve.ap} for name, curve in classes.items()},
        "map": float(np.mean(known)) if known else None,
        "counting": {
            "true": int(truth.sum()),
            "counted": int(counted.sum()),
            "mean_absolute_error": float(np.abs(counted - truth).mean()),
        },
    }


def _operating(curve: Curve, detect: float) -> dict[str, float | None]:
    above = curve.scores >= detect
    hits, called = int((curve.is_true & above).sum()), int(above.sum())
    return {
        "recall": hits / curve.n_truth if curve.n_truth else None,
        "precision": hits / called if called else None,
    }


def table_of(summary: dict[str, Any]) -> Table:
    """For a terminal."""
    table = Table(title=f"{summary['images']} images of split {summary['split']}", title_justify="left")
    table.add_column("what")
    table.add_column("truth", justify="right")
    table.add_column("AP at IoU 0.5", justify="right")
    table.add_row("any leukocyte", str(summary["wbc"]["truth"]), _figure(summary["wbc"]["ap"]))
    for name, ap in summary["wbc_ap_by_source"].items():
        table.add_row(f"  of {name}", "", _figure(ap))
    for name, row in summary["classes"].items():
        table.add_row(name, str(row["truth"]), _figure(row["ap"]))
    table.add_row("mean over classes with truth", "", _figure(summary["map"]))
    count = summary["counting"]
    table.caption = (
        f"leukocytes counted {count['counted']}, annotated {count['true']}; "
        f"mean absolute error {count['mean_absolute_error']:.3f} per image"
    )
    return table


def _figure(value: float | None) -> str:
    return "no truth" if value is None else f"{value:.3f}"
