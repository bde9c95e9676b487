"""Which flags a result raises, each by a table of cases at its limit, and the correction for nucleated red cells."""

import re
from pathlib import Path

import pytest

from edge.contracts.run_order import RunOrder
from edge.counting.result_flags import CHOSEN, THRESHOLDS, nrbc_correction, raised_flags

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


def flags(order: RunOrder | None = None, **cells: int) -> set[str]:
    return {each.flag for each in raised_flags(cells, order)}


@pytest.mark.parametrize(
    ("cells", "raised"),
    [
        pytest.param({"lymphocyte": 100}, set(), id="nothing to look at"),
        pytest.param({"lymphocyte": 99}, {"too_few"}, id="one leukocyte short"),
        pytest.param({}, {"too_few"}, id="nothing at all"),
        pytest.param({"nrbc": 3, "smudge": 4}, {"too_few", "nrbc"}, id="no leukocyte: numbers stand for shares"),
        pytest.param({"lymphocyte": 999, "blast": 1}, {"blast"}, id="a single blast"),
        pytest.param(
            {"lymphocyte": 98, "myelocyte": 1, "metamyelocyte": 1}, {"immature_granulocytes"}, id="two kinds together"
        ),
        pytest.param({"lymphocyte": 99, "promyelocyte": 1}, set(), id="one of a hundred is below"),
        pytest.param({"neutrophil_segmented": 90, "neutrophil_band": 10}, {"left_shift"}, id="bands at the limit"),
        pytest.param({"neutrophil_segmented": 191, "neutrophil_band": 19}, set(), id="bands below it"),
        pytest.param({"lymphocyte": 100, "nrbc": 1}, {"nrbc"}, id="nucleated red cells are not among the leukocytes"),
        pytest.param({"lymphocyte": 200, "nrbc": 1}, set(), id="half of one"),
        pytest.param({"lymphocyte": 100, "smudge": 20}, {"smudge"}, id="smudge cells"),
        pytest.param({"lymphocyte": 90, "unidentified": 10}, {"unidentified"}, id="no certain class"),
        pytest.param({"lymphocyte": 100, "unidentified_non_wbc": 90}, set(), id="what is no leukocyte has no such share"),
    ],
)
def test_flags_at_their_limits(cells: dict[str, int], raised: set[str]) -> None:
    assert flags(**cells) == raised


def test_smudge_cells_that_count_as_leukocytes_are_among_them() -> None:
    as_lymphocytes = RunOrder(smudges="lymphocytes")
    assert flags(as_lymphocytes, lymphocyte=80, smudge=20) == {"smudge"}
    assert flags(as_lymphocytes, lymphocyte=81, smudge=19) == set()
    assert flags(None, lymphocyte=80, smudge=20) == {"smudge", "too_few"}


def test_a_flag_says_value_limit_and_source() -> None:
    (raised,) = raised_flags({"lymphocyte": 180, "neutrophil_band": 60})
    assert (raised.flag, raised.value, raised.limit, raised.unit) == ("left_shift", 25.0, 10.0, "per_100_leukocytes")
    assert {each.source for each in THRESHOLDS} == {CHOSEN}, "what was read names page and place"


@pytest.mark.parametrize(
    ("cells", "factor"),
    [
        pytest.param({"lymphocyte": 100, "nrbc": 8}, 100 / 108, id="17,400 becomes 16,111"),
        pytest.param({"lymphocyte": 200, "nrbc": 200}, 0.5, id="as many as leukocytes"),
        pytest.param({"lymphocyte": 100}, None, id="none"),
        pytest.param({"nrbc": 5}, None, id="no leukocyte to hold them against"),
    ],
)
def test_the_correction_for_nucleated_red_cells(cells: dict[str, int], factor: float | None) -> None:
    assert nrbc_correction(cells) == (None if factor is None else pytest.approx(factor))
    if factor == 100 / 108:
        assert round(17_400 * factor) == 16_111


def test_the_page_has_every_flag() -> None:
    rows = PAGE.read_text(encoding="utf-8").split("| flag | raised at |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) == [each.flag for each in THRESHOLDS]
    for row, each in zip(rows.strip().splitlines()[1:], THRESHOLDS, strict=True):
        assert f"{each.least:g}" in row
