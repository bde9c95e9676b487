"""A bundle's training and measurements are shown in figures, and whatever another program wrote there breaks nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.inspection import inspect_bundle
from builder.training_figures import data_lines, metric_lines
from edge.settings import SHIPPED_BUNDLE


def test_the_shipped_bundle_shows_what_it_was_trained_and_measured_on() -> None:
    training = inspect_bundle(SHIPPED_BUNDLE).bundle.manifest.training
    data, metrics = data_lines(training.data), metric_lines(training.metrics)
    n_images = sum(row["images"] for row in training.data["sources"].values())
    assert f"{n_images} images: BCCD {training.data['sources']['BCCD']['images']} (MIT)" in data
    assert f"lymphocyte {training.data['train_cells']['lymphocyte']}" in data
    assert "blast" not in data, "no cell of it was there"
    assert f"on {training.metrics['images']} images (test, {training.metrics['split_by']})" in metrics
    assert f"any leukocyte: AP {training.metrics['wbc']['ap']:.3f}, recall {training.metrics['wbc']['recall']:.3f}" in metrics
    assert f"AP {training.metrics['map']:.3f}" in metrics
    assert "None" not in data + metrics


@pytest.mark.parametrize(
    ("table", "says"),
    [
        pytest.param({}, "none measured", id="nothing"),
        pytest.param({"map": 0.25}, "mean over the classes: AP 0.250", id="one number"),
        pytest.param({"images": 3}, "on 3 images (split not named)", id="nobody said which images"),
        pytest.param({"my_f1": 0.5, "note": "x"}, "my_f1 0.5", id="another program's number"),
        pytest.param({"wbc": {"ap": None, "recall": None}}, "none measured", id="measured on nothing"),
        pytest.param({"caution": "few images"}, "caution: few images", id="a caution is never left out"),
        pytest.param({"classes": ["a"], "wbc": 0.5, "counting": []}, "wbc 0.5", id="tables that are none"),
    ],
)
def test_metrics_are_shown_as_far_as_they_are_known(table: dict[str, Any], says: str) -> None:
    assert says in metric_lines(table)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["images", "truth", "ap", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(["images", "sources", "train_cells", "split_by", "wbc", "classes", "map", "counting", "split", "x"])


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_no_table_breaks_the_command(table: dict[str, Any]) -> None:
    assert data_lines(table)
    assert metric_lines(table)
