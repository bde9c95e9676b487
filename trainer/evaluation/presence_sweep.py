"""What a model would count at other presence thresholds, from one evaluation: to choose one by."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from trainer.evaluation.average_precision import leukocyte_curve
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.summary import AtThreshold, Summary

GRID = tuple(round(at / 100, 2) for at in range(20, 96, 4))


def sweep(results: Sequence[ImageResult], empty_fields: float) -> tuple[AtThreshold, ...]:
    """Leukocytes at each threshold that `results` were taken `at`. `empty_fields` is how many fields of the reference's size
    those without a cell are, 0 where there is none."""
    is_empty = np.array([not len(result.annotation.labels) for result in results], np.bool_)
    rows = []
    for detect in sorted({detect for result in results for detect in result.at}):
        wbc = leukocyte_curve([result.at[detect] for result in results])
        right, in_empty = int(wbc.is_true.sum()), int(is_empty[wbc.images[~wbc.is_true]].sum())
        rows.append(
            AtThreshold(
                detect=detect,
                found=right,
                missed=wbc.n_truth - right,
                false=len(wbc.is_true) - right,
                false_in_empty=in_empty,
                false_per_1000_empty=1000 * in_empty / empty_fields if empty_fields else None,
            )
        )
    return tuple(rows)


def show_sweep(summary: Summary) -> None:
    """The table: a threshold a row. Misses and false ones are added up as they are: neither weighs more."""
    table = Table(title="leukocytes at other presence thresholds (`detect`)", title_justify="left")
    for heading in ("detect", "found", "missed", "false", "missed and false", "counted", "false in 1,000 empty fields"):
        table.add_column(heading, justify="right")
    for row in summary.at_thresholds:
        truth = row.found + row.missed
        off = f" ({100 * (row.found + row.false - truth) / truth:+.1f} %)" if truth else ""
        in_empty = "none to tell by" if row.false_per_1000_empty is None else f"{row.false_per_1000_empty:.0f}"
        told = (row.found, row.missed, row.false, row.missed + row.false, f"{row.found + row.false}{off}", in_empty)
        table.add_row(f"{row.detect:.2f}", *map(str, told))
    Console().print(table)
