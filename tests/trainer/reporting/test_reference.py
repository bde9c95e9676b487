"""The figures that come with the package are those of Wang et al. 2019, written out here once more as the paper prints them."""

from statistics import fmean

import pytest

from edge.contracts.cells import NAMES
from trainer.reporting.report_sources import load_reference

REFERENCE = load_reference()
SYSTEMS = {system.name: system for system in REFERENCE.systems}
MATRICES = {matrix.name: matrix for matrix in REFERENCE.confusion}

TABLE_1 = {
    "blast": (0.882, 0.970, 0.651, 0.961, 0.958, 0.962, 0.941),
    "promyelocyte": (0.654, 0.870, 0.453, 0.826, 0.824, 0.814, 0.469),
    "myelocyte": (0.745, 0.862, 0.682, 0.860, 0.862, 0.864, 0.701),
    "metamyelocyte": (0.663, 0.881, 0.499, 0.841, 0.826, 0.829, 0.372),
    "neutrophil_band": (0.853, 0.982, 0.777, 0.955, 0.947, 0.961, 0.758),
    "neutrophil_segmented": (0.928, 0.970, 0.741, 0.968, 0.968, 0.974, 0.915),
    "lymphocyte": (0.849, 0.884, 0.409, 0.937, 0.947, 0.930, 0.871),
    "monocyte": (0.806, 0.914, 0.756, 0.912, 0.894, 0.904, 0.674),
    "eosinophil": (0.985, 1.000, 0.907, 0.999, 0.999, 0.999, 0.993),
    "basophil": (0.973, 0.993, 0.891, 0.993, 0.987, 0.987, 0.982),
    "lymphocyte_reactive": (0.800, 0.913, 0.790, 0.920, 0.915, 0.881, 0.815),
}
"""AP by class; a column for each system, in the order of `SYSTEMS`."""


@pytest.mark.parametrize(
    ("name", "mean_ap", "training_hours", "inference_ms"),
    [
        pytest.param("SSD300, s_min 0.1", 0.831, 101.3, 53, id="small-boxes-for-small-cells"),
        pytest.param("SSD300, s_min 0.2", 0.931, 101.1, 53, id="the-best"),
        pytest.param("SSD512, s_min 0.2", 0.687, 123.2, 100, id="the-slowest-and-worst"),
        pytest.param("YOLOv3-320", 0.925, 60, 14, id="as-fast-as-tiny"),
        pytest.param("YOLOv3-416", 0.921, 60.2, 23, id="between"),
        pytest.param("YOLOv3-608", 0.919, 61, 43, id="large-and-no-better"),
        pytest.param("YOLOv3-tiny-416", 0.772, 9.5, 14, id="trained-in-a-night"),
    ],
)
def test_tables_1_and_2(name: str, mean_ap: float, training_hours: float, inference_ms: float) -> None:
    system = SYSTEMS[name]
    assert (system.map, system.training_hours, system.inference_ms) == (mean_ap, training_hours, inference_ms)
    assert system.ap == tuple(row[list(SYSTEMS).index(name)] for row in TABLE_1.values())
    assert round(fmean(system.ap), 3) == mean_ap, "printed as the mean of its column"


@pytest.mark.parametrize(
    ("name", "mean_accuracy", "diagonal", "odd_rows"),
    [
        pytest.param(
            "SSD300, s_min 0.2",
            0.9009,
            (0.95, 0.87, 0.82, 0.86, 0.88, 0.96, 0.90, 0.85, 0.99, 0.97, 0.86),
            {"myelocyte": 1.01, "neutrophil_band": 1.02, "monocyte": 0.99, "lymphocyte_reactive": 0.99},
            id="rounded-one-by-one",
        ),
        pytest.param(
            "YOLOv3-320",
            0.8936,
            (0.91, 0.82, 0.86, 0.80, 0.90, 0.94, 0.93, 0.82, 0.99, 0.98, 0.88),
            {},
            id="every-row-whole",
        ),
    ],
)
def test_figure_8(name: str, mean_accuracy: float, diagonal: tuple[float, ...], odd_rows: dict[str, float]) -> None:
    """`odd_rows` are those whose printed shares do not add up to 1."""
    matrix = MATRICES[name]
    assert matrix.mean_accuracy == mean_accuracy
    assert tuple(row[k] for k, row in enumerate(matrix.rows)) == diagonal
    assert round(fmean(diagonal), 4) == mean_accuracy, "printed as the mean of its diagonal"
    sums = {true: round(sum(row), 2) for true, row in zip(REFERENCE.classes, matrix.rows, strict=True)}
    assert sums == dict.fromkeys(REFERENCE.classes, 1) | odd_rows
    assert {len(row) for row in matrix.rows} == {len(matrix.rows)}


@pytest.mark.parametrize(
    ("name", "mean_ap"),
    [pytest.param("SSD300, s_min 0.2", 0.8992, id="the-best"), pytest.param("YOLOv3-320", 0.8816, id="the-fast-one")],
)
def test_figure_10(name: str, mean_ap: float) -> None:
    classes = ("blast", "promyelocyte", "myelocyte", "metamyelocyte", "lymphocyte_reactive")
    assert REFERENCE.abnormal.classes == classes
    assert REFERENCE.abnormal.mean_ap[name] == mean_ap
    ap = dict(zip(REFERENCE.classes, SYSTEMS[name].ap, strict=True))
    assert round(fmean(ap[one] for one in classes), 4) == mean_ap, "printed as the mean of five rows of Table 1"


def test_its_classes_are_the_first_of_ours_and_nothing_stands_twice() -> None:
    assert REFERENCE.classes == tuple(TABLE_1) == NAMES[:11]
    assert (len(SYSTEMS), len(MATRICES), len(REFERENCE.abnormal.mean_ap)) == (7, 2, 2)
    assert (len(REFERENCE.systems), len(REFERENCE.confusion)) == (7, 2)
    assert (REFERENCE.test_images, REFERENCE.cell_images) == (1120, 7868)
