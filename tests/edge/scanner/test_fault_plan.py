"""Faults of a virtual scan: how they are written, and that the seed alone decides where they fall."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.errors import ConfigError
from edge.scanner.fault_plan import FAULTS, parse_faults, share_of

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        pytest.param(["dropped@3"], {3: ("dropped",)}, id="at a field"),
        pytest.param(["dropped=0"], {}, id="never"),
        pytest.param(["dropped=100%"], {at: ("dropped",) for at in range(6)}, id="always"),
        pytest.param(["dropped=1"], {at: ("dropped",) for at in range(6)}, id="as a share"),
        pytest.param(["damaged@2", "dark@2"], {2: ("dark", "damaged")}, id="two at a field, in the order of their list"),
        pytest.param(["dropped@2", "dropped=100%"], {at: ("dropped",) for at in range(6)}, id="each once"),
    ],
)
def test_faults_fall_where_they_are_asked_for(spec: list[str], fields: dict[int, tuple[str, ...]]) -> None:
    plan = parse_faults(spec, 1)
    assert {at: plan.at(at) for at in range(6) if plan.at(at)} == fields


@settings(max_examples=40)
@given(st.integers(0, 2**40), st.sampled_from(sorted(set(FAULTS) - {"stall"})), st.floats(0.0, 1.0))
def test_the_seed_alone_decides_and_the_rate_is_kept(seed: int, name: str, rate: float) -> None:
    plan, with_another = parse_faults([f"{name}={rate:.6f}"], seed), parse_faults([f"{name}={rate:.6f}", "stall=0.5"], seed)
    hits = [name in plan.at(at) for at in range(100)]
    assert hits == [name in with_another.at(at) for at in range(100)]
    assert abs(sum(hits) / 100 - rate) < 0.3, "six standard deviations of a share of 100"


@pytest.mark.parametrize(
    "spec", ["dropped", "dropped=", "dropped=x", "dropped=-1", "dropped=1.5", "dropped=101%", "@3", "gone@3", "dropped@x", ""]
)
def test_what_is_no_fault_is_refused_with_what_there_is(spec: str) -> None:
    with pytest.raises(ConfigError) as said:
        parse_faults([spec], 0)
    assert repr(spec) in str(said.value) or "there are unsettled" in str(said.value)


@pytest.mark.parametrize(("text", "share"), [("15%", 0.15), ("0.15", 0.15), (" 0 ", 0.0), ("1", 1.0), ("100 %", 1.0)])
def test_a_share_is_a_number_or_per_cent(text: str, share: float) -> None:
    assert share_of(text, "it") == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "x", "nan", "-1%", "2", "inf"])
def test_a_share_is_between_0_and_1(text: str) -> None:
    with pytest.raises(ConfigError, match="which is not between 0 and 1"):
        share_of(text, "it")
