"""A camera's own counter, unwrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.industrial.watchdog import FrameIds

pytestmark = pytest.mark.timeout(30)


@given(st.integers(1, 65535), st.lists(st.integers(1, 30_000), max_size=40))
def test_ids_are_unwrapped_whatever_is_missing(first: int, steps: list[int]) -> None:
    ids, true, seen = FrameIds(), first, [first]
    assert ids.unwrap(first) == first
    for step in steps:
        true += step
        seen.append(ids.unwrap((true - 1) % 65535 + 1))
    assert seen[-1] - seen[0] == true - first


def test_ids_of_64_bits_do_not_wrap() -> None:
    ids = FrameIds()
    assert [ids.unwrap(raw) for raw in (65534, 65535, 65536, 65537, 200_000)] == [65534, 65535, 65536, 65537, 200_000]
