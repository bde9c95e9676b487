"""What a person should look at in a result: flags with their thresholds in one table, and the note on nucleated red cells.

Whoever uses this sets such limits for their laboratory. None is a published one unless `source` names where it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.contracts.cells import UNIDENTIFIED
from edge.contracts.run_order import RunOrder
from edge.contracts.stop_state import FlagName, RaisedFlag
from edge.counting.counts import wbc_total
from edge.counting.stop_rule import adjusted

CHOSEN = "chosen here"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A flag is raised when the cells with one of `labels` are at least `least`: as a number, or (`is_share`) for each 100
    leukocytes. `too_few` alone is raised below its limit."""

    flag: FlagName
    labels: tuple[str, ...]
    least: float
    is_share: bool
    source: str = CHOSEN


THRESHOLDS: tuple[Threshold, ...] = (
    Threshold("blast", ("blast",), 1, is_share=False),
    Threshold("immature_granulocytes", ("promyelocyte", "myelocyte", "metamyelocyte"), 2.0, is_share=True),
    Threshold("left_shift", ("neutrophil_band",), 10.0, is_share=True),
    Threshold("nrbc", ("nrbc",), 1.0, is_share=True),
    Threshold("smudge", ("smudge",), 20.0, is_share=True),
    Threshold("unidentified", (UNIDENTIFIED,), 10.0, is_share=True),
    Threshold("too_few", (), 100, is_share=False),
)
"""In the order in which they are told."""

CORRECTED_FROM = 5.0
"""Nucleated red cells for each 100 leukocytes from which laboratories correct a leukocyte count: read at
https://www.medicalalgorithms.com/correction-of-wbc-for-nucleated-red-blood-cells, with the formula of `nrbc_correction`."""


def raised_flags(cells: Mapping[str, int], order: RunOrder | None = None) -> tuple[RaisedFlag, ...]:
    """Of counts per label; leukocytes are those of the order's smudge policy. Shares are of all of them."""
    wbc = wbc_total(adjusted(cells, order))
    found = []
    for each in THRESHOLDS:
        number = sum(cells.get(label, 0) for label in each.labels)
        value = 100.0 * number / wbc if each.is_share and wbc else float(number)
        if each.flag == "too_few":
            value, is_raised = float(wbc), wbc < each.least
        else:
            is_raised = number > 0 and value >= each.least
        if is_raised:
            found.append(
                RaisedFlag(
                    flag=each.flag,
                    value=value,
                    limit=each.least,
                    unit="per_100_leukocytes" if each.is_share else "cells",
                    source=each.source,
                )
            )
    return tuple(found)


def nrbc_correction(cells: Mapping[str, int], order: RunOrder | None = None) -> float | None:
    """What an analyser's leukocyte count that has nucleated red cells in it is multiplied by: 100 / (100 + those for each 100
    leukocytes). None without any, or without a leukocyte."""
    wbc, nrbc = wbc_total(adjusted(cells, order)), cells.get("nrbc", 0)
    return 100.0 / (100.0 + 100.0 * nrbc / wbc) if wbc and nrbc else None
