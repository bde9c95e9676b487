"""Scaling: what is measured at which size, when a cost counts as flat, and that watched runs end with everybody gone."""

from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

from edge.bench import scaling
from edge.bench.scaling import bench_scaling, found_cells, growth, scaling_text, sizes_up_to, slope
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        pytest.param(1000, [1000], id="the least"),
        pytest.param(1_000_000, [1000, 10_000, 100_000, 1_000_000], id="every power of ten"),
        pytest.param(3000, [1000, 3000], id="and what was asked for"),
    ],
)
def test_sizes(largest: int, sizes: list[int]) -> None:
    assert sizes_up_to(largest) == sizes


@pytest.mark.parametrize(
    ("window_us", "expected"),
    [
        pytest.param([10.0] * 8, 0.0, id="flat"),
        pytest.param([10.0, 10.0, 99.0, 10.0, 10.0, 10.0, 10.0, 10.0], 0.0, id="one disturbance is none"),
        pytest.param([10.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 15.0], 0.5, id="it grows"),
    ],
)
def test_growth_is_of_the_last_quarter_against_the_first(window_us: list[float], expected: float) -> None:
    assert growth(window_us) == pytest.approx(expected)


def test_slope() -> None:
    assert slope([0, 1, 10], [5.0, 7.0, 25.0]) == pytest.approx(2.0)
    assert slope([3], [5.0]) == 0.0


@pytest.mark.parametrize("n_cells", [0, 1, 10, 200])
def test_cells_lie_inside_the_field_and_apart(n_cells: int) -> None:
    found = found_cells(n_cells, 256, 732, 574)
    boxes = found.boxes[0, :n_cells]
    assert (found.scores[0] > 0.5).sum() == n_cells
    assert (boxes[:, 0] >= 0).all() and (boxes[:, 2] <= 732).all() and (boxes[:, 3] <= 574).all()
    apart = [
        (one[[2, 3]] <= other[[0, 1]]).any() or (other[[2, 3]] <= one[[0, 1]]).any()
        for nth, one in enumerate(boxes)
        for other in boxes[:nth]
    ]
    assert all(apart)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_measurement_has_every_size_and_every_watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_SHORT", 12)
    monkeypatch.setattr(scaling, "CELLS", (0, 2))
    monkeypatch.setattr(scaling, "WATCHERS", ((0, 0, 0), (1, 1, 0), (0, 0, 2)))
    monkeypatch.setattr(scaling, "sizes_up_to", lambda largest: [20, largest])
    bundle = write_tiny_bundle(tmp_path / "bundle")
    setup = resolve({"source": "virtual:seed=1,width=160,height=128", "bundle": bundle.path})
    found = bench_scaling(setup, 80)
    assert [run["fields"] for run in found["fields"]] == [20, 80]
    assert len(found["fields"][1]["window_us_per_field"]) == 40
    assert [run["cells_per_field"] for run in found["cells"]] == [0, 2]
    lookers = [[run[who] for who in ("observers", "dashboards", "pages")] for run in found["watched"]]
    assert lookers == [[0, 0, 0], [1, 1, 0], [0, 0, 2]]
    assert all(run["us_per_field"] > 0 and run["cpu_us_per_field"] > 0 for run in found["watched"])
    said = scaling_text(found)
    assert "us for each cell" in said and "dashboards" in said
