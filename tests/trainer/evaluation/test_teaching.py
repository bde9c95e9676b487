"""What a model was taught decides which errors are of cells that it never saw; and how a share of them is said."""

from typing import Any

import pytest
from support.evaluated import A, Found, result

from edge.contracts.bundle import SecondLook
from edge.contracts.cells import INDEX
from trainer.evaluation.cell_verdicts import confusion_of, truth_rows
from trainer.evaluation.summarise import summarise
from trainer.evaluation.summary import Summary
from trainer.evaluation.summary_table import remarks
from trainer.evaluation.target import taught_classes
from trainer.evaluation.teaching import teaching_of

LYM, MON, BLAST = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["blast"]

DETECTOR: dict[str, Any] = {"train_cells": {"lymphocyte": 3, "monocyte": 0, "blast": 0}}


def look(**more: object) -> SecondLook:
    stated = {"looks": 8, "crop_side_px": 64, "crop_um": 16.64, "taught": ("monocyte", "no_cell"), **more}
    return SecondLook.model_validate(stated)


TAUGHT = [
    pytest.param({}, None, None, id="nobody-wrote-it-down"),
    pytest.param(DETECTOR, None, {"lymphocyte"}, id="a-detector-alone"),
    pytest.param(DETECTOR, look(type_share=0.8), {"lymphocyte", "monocyte"}, id="both-have-a-word"),
    pytest.param(DETECTOR, look(type_share=1.0), {"monocyte"}, id="the-look-alone-says-types"),
    pytest.param(DETECTOR, look(taught=()), {"lymphocyte"}, id="a-look-that-does-not-say"),
    pytest.param({}, look(type_share=0.8), None, id="an-old-detector-may-have-seen-anything"),
]


@pytest.mark.parametrize(("data", "second", "expected"), TAUGHT)
def test_who_names_cells_decides_what_was_taught(
    data: dict[str, Any], second: SecondLook | None, expected: set[str] | None
) -> None:
    assert taught_classes(data, second) == expected


def cells(*pairs: tuple[list[Found], int]) -> list[Any]:
    return [result(found, [(A, label)], original=str(k)) for k, (found, label) in enumerate(pairs)]


SHOWN = cells(
    ([(A, 0.9, LYM)], LYM),
    ([(A, -0.9, LYM)], LYM),
    ([(A, 0.9, LYM)], BLAST),
    ([(A, 0.9, MON)], BLAST),
    ([(A, -0.9, MON)], BLAST),
    ([(A, 0.9, BLAST)], BLAST),
    ([], BLAST),
)


def test_cells_of_both_kinds_are_counted_apart() -> None:
    found = teaching_of(confusion_of(SHOWN, [truth_rows(one) for one in SHOWN]), {"lymphocyte", "monocyte"})
    yes, no = found.taught, found.untaught
    assert (yes.classes, yes.cells, yes.found, yes.right, yes.unidentified, yes.called_another) == (
        ("lymphocyte",),
        2,
        2,
        1,
        1,
        0,
    )
    assert (no.classes, no.cells, no.found, no.right, no.unidentified, no.called_another) == (("blast",), 5, 4, 1, 1, 2)
    assert no.right_or_unidentified == 0.5 and no.low == pytest.approx(0.0676, abs=1e-4)
    assert found.called == {"blast": {"blast": 1, "lymphocyte": 1, "monocyte": 1, "unidentified": 1, "missed": 1}}


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        pytest.param(SHOWN, "taught on no photograph: blast; of 4 cells found of 5 1 are right", id="some-are-untaught"),
        pytest.param(SHOWN[:2], None, id="none-is"),
        pytest.param(SHOWN[-1:], None, id="none-of-them-is-found"),
    ],
)
def test_it_is_said_where_there_are_any(shown: list[Any], said: str | None) -> None:
    header = {"split": "test", "split_by": "given", "source": None, "engine": "OpenVINO", "command": "leuko-train evaluate"}
    figures = summarise(shown, 0.3)
    summary = Summary(**dict(figures), **header, teaching=teaching_of(figures.confusion_all, {"lymphocyte"}))
    found = [line for line in remarks(summary) if line.startswith("taught on no photograph")]
    assert (said in found[0]) if said else not found
    assert Summary.model_validate(summary.reduced()).teaching == summary.teaching
