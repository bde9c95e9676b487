"""Confusion matrices: tints, and mean accuracy over the classes that all systems have, which says which it leaves out."""

import json
from typing import Any

import pytest
from support.made_up_summary import made_up

from edge.contracts.base import parse_json
from edge.contracts.errors import DataError
from trainer.evaluation.summary import Summary
from trainer.reporting.confusion_tables import _tinted, mean_accuracy
from trainer.reporting.report_sources import MeasuredRun, load_reference

COLUMNS = ["lymphocyte", "monocyte", "smudge", "unidentified", "missed"]
COUNTS = {"lymphocyte": [9, 1, 0, 0, 0], "monocyte": [1, 6, 0, 2, 1], "smudge": [0, 0, 2, 0, 2]}
UNSEEN = (
    "blast, promyelocyte, myelocyte, metamyelocyte, band neutrophil, segmented neutrophil, eosinophil, basophil and reactive "
    "lymphocyte, for want of single-cell images"
)


def run_with(name: str, *classes: str) -> MeasuredRun:
    """A model that was measured on single cells of these classes only."""
    counts = [COUNTS[one] if one in classes else [0] * 5 for one in COUNTS]
    shares = [[n / sum(row) for n in row] if any(row) else None for row in counts]
    right = [share[k] for k, share in enumerate(shares) if share]
    matrix: dict[str, Any] = {
        "classes": list(COUNTS),
        "columns": COLUMNS,
        "counts": counts,
        "shares": shares,
        "mean_accuracy": sum(right) / len(right) if right else None,
        "mean_accuracy_best_class": None,
        "n": sum(map(sum, counts)),
    }
    text = json.dumps(made_up(confusion=matrix)).encode()
    return MeasuredRun(name, parse_json(Summary, text, "summary", DataError))


@pytest.mark.parametrize(
    ("seen", "over", "figures", "left_out"),
    [
        pytest.param(
            [["lymphocyte", "monocyte"]],
            "2 classes",
            [["0.750", "0.750", "2", "20"], ["0.875", "0.901", "11", "7,868"], ["0.875", "0.894", "11", "7,868"]],
            f"{UNSEEN}.",
            id="fewer-than-the-reference",
        ),
        pytest.param(
            [["lymphocyte", "monocyte", "smudge"]],
            "2 classes",
            [["0.750", "0.667", "3", "24"], ["0.875", "0.901", "11", "7,868"], ["0.875", "0.894", "11", "7,868"]],
            f"{UNSEEN}; smudge cell, which the reference does not have.",
            id="one-that-the-reference-lacks",
        ),
        pytest.param(
            [["lymphocyte", "monocyte"], ["monocyte"]],
            "1 class",
            [["0.600", "0.750", "2", "20"], ["0.600", "0.600", "1", "10"], ["0.850", "0.901", "11", "7,868"]],
            f"{UNSEEN}.".replace("eosinophil", "lymphocyte, eosinophil"),
            id="what-one-model-did-not-meet",
        ),
        pytest.param(
            [["lymphocyte", "monocyte"], []],
            "2 classes",
            [["0.750", "0.750", "2", "20"], ["\N{EN DASH}", "\N{EN DASH}", "0", "0"], ["0.875", "0.901", "11", "7,868"]],
            f"{UNSEEN}.",
            id="no-single-cell-takes-nothing-from-the-others",
        ),
    ],
)
def test_the_mean_is_over_the_same_classes(seen: list[list[str]], over: str, figures: list[list[str]], left_out: str) -> None:
    runs = [run_with(f"m{k}", *classes) for k, classes in enumerate(seen)]
    table = mean_accuracy(runs, load_reference())
    assert table.head[1].text == f"over the {over} all have"
    assert [[cell.text for cell in row[1:]] for row in table.rows][: len(figures)] == figures
    assert table.note == f"Left out of the mean over the classes all have: {left_out}"


@pytest.mark.parametrize(
    ("share", "text", "look"),
    [
        pytest.param(0.0, "0", "h0", id="none"),
        pytest.param(0.001, "<.01", "h1", id="little-is-not-none"),
        pytest.param(0.07, "0.07", "h1", id="few"),
        pytest.param(0.96, "0.96", "h10", id="most"),
        pytest.param(1.0, "1.00", "h10", id="all"),
    ],
)
def test_tints(share: float, text: str, look: str) -> None:
    cell = _tinted(share)
    assert (cell.text, cell.look) == (text, look)
