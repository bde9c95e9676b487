"""Exact limits against scipy, against tabled values, and by their own definition."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.counting.binomial import clopper_pearson

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("k", "low_percent", "high_percent"),
    [(0, 0.0, 1.8), (2, 0.1, 3.6), (10, 2.4, 9.0), (20, 6.2, 15.0), (100, 42.9, 57.1)],
)
def test_tabled_limits_of_a_differential_of_200(k: int, low_percent: float, high_percent: float) -> None:
    low, high = clopper_pearson(k, 200)
    assert (round(100 * low, 1), round(100 * high, 1)) == (low_percent, high_percent)


@given(n=st.integers(1, 20_000), share=st.floats(0, 1), confidence=st.sampled_from([0.9, 0.95, 0.999]))
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_beta_quantiles(n: int, share: float, confidence: float) -> None:
    beta = pytest.importorskip("scipy.stats", reason="scipy is the independent reference here").beta
    k = round(share * n)
    low, high = clopper_pearson(k, n, confidence)
    half = (1 - confidence) / 2
    assert low == pytest.approx(beta.ppf(half, k, n - k + 1) if k else 0.0, rel=1e-9, abs=1e-12)
    assert high == pytest.approx(beta.ppf(1 - half, k + 1, n - k) if k < n else 1.0, rel=1e-9, abs=1e-12)


@given(n=st.integers(1, 60), share=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_limits_leave_out_two_and_a_half_percent_each_side(n: int, share: float) -> None:
    k = round(share * n)
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    if k:
        at_least_k = math.fsum(math.comb(n, i) * low**i * (1 - low) ** (n - i) for i in range(k, n + 1))
        assert at_least_k == pytest.approx(0.025, rel=1e-8)
    mirrored = clopper_pearson(n - k, n)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)], ids=["nothing counted", "negative", "more than all"])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no binomial count"):
        clopper_pearson(k, n)
