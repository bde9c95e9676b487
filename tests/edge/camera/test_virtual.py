"""The virtual slide as a camera: its meander, its pace, and the faults it can be asked for."""

import threading
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from edge.camera.frame import Frame, SourceEnded, SourceTimeout
from edge.camera.virtual import VirtualSource, parse_virtual
from edge.contracts.errors import ConfigError

SMALL = "variants=1,width=200,height=160"


def read_all(source: VirtualSource) -> list[Frame]:
    frames = []
    try:
        while True:
            frames.append(source.read(1.0))
    except SourceEnded:
        return frames


@pytest.fixture(scope="module")
def walk() -> tuple[VirtualSource, list[Frame]]:
    source = VirtualSource(f"seed=4,fields=12,wbc=3,overlap=0.25,fail_every=4,lose_every=5,damage_every=7,{SMALL}")
    return source, read_all(source)


def test_every_field_gives_one_frame_and_faults_come_as_asked(walk: tuple[VirtualSource, list[Frame]]) -> None:
    _, frames = walk
    assert [frame.field_index for frame in frames] == list(range(12))
    assert Counter(frame.status for frame in frames) == {"ok": 6, "failed": 3, "lost": 2, "incomplete": 1}
    assert [frame.status for frame in frames][3:7] == ["failed", "lost", "ok", "incomplete"]
    for frame in frames:
        assert (frame.image is None) == (frame.status != "ok")
        assert bool(frame.detail) == (frame.status != "ok")
        assert (frame.frame_id is None) == (frame.status == "lost")
        assert frame.t_trigger_ns <= frame.t_host_ns and frame.stage_nm is not None


def test_truth_is_of_the_frame_that_was_read(walk: tuple[VirtualSource, list[Frame]]) -> None:
    source, frames = walk
    for frame in frames:
        truth = source.truth(frame.field_index)
        if frame.image is not None:
            assert np.array_equal(frame.image, truth.image)
            assert frame.image.shape == (160, 200, 3) and frame.image.flags.c_contiguous
    assert source.info.is_synthetic and source.info.self_paced and source.info.n_fields == 12


def test_the_meander_moves_one_step_at_a_time_and_shows_each_place_once(walk: tuple[VirtualSource, list[Frame]]) -> None:
    _, frames = walk
    positions = [frame.stage_nm for frame in frames if frame.stage_nm]
    assert len(set(positions)) == len(positions) == 12
    step_x, step_y = 200 * 0.75 * 130, 160 * 0.75 * 130
    for (x, y), (next_x, next_y) in pairwise(positions):
        moved = (abs(next_x - x), abs(next_y - y))
        assert moved in ((step_x, 0), (0, step_y))


def test_the_rate_is_kept_by_the_clock_that_the_reader_waits_on() -> None:
    source = VirtualSource(f"fields=3,rate=0.2,{SMALL}")
    assert source.read(0.0).field_index == 0
    with pytest.raises(SourceTimeout):
        source.read(0.01)
    closer = threading.Timer(0.05, source.close)
    closer.start()
    with pytest.raises(SourceEnded):
        source.read(30.0)
    closer.join()


def test_a_timeout_loses_no_field() -> None:
    source = VirtualSource(f"fields=3,rate=50,{SMALL}")
    seen: list[int] = []
    while len(seen) < 3:
        try:
            seen.append(source.read(0.001).field_index)
        except SourceTimeout:
            continue
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        pytest.param("sed=42", "unknown option 'sed'; the options are seed, fields, wbc", id="misspelt option"),
        pytest.param("seed", "not NAME=VALUE", id="no value"),
        pytest.param("seed=1,,fields=2", "not NAME=VALUE", id="empty part"),
        pytest.param("seed=1,seed=2", "twice", id="given twice"),
        pytest.param("fields=many", "`fields`", id="not a number"),
        pytest.param("fields=0", "`fields`", id="no field at all"),
        pytest.param("wbc=50", "`wbc_per_field_mean`", id="more leukocytes than fit"),
        pytest.param("overlap=1", "`overlap`", id="a meander that never moves"),
        pytest.param("wbc=nan", "`wbc`", id="not a finite number"),
    ],
)
def test_a_wrong_option_is_one_sentence(tail: str, says: str) -> None:
    with pytest.raises(ConfigError) as problem:
        parse_virtual(tail)
    assert says in str(problem.value) and "\n" not in str(problem.value)


def test_a_scale_that_is_not_the_slides_own_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.13 um/px, not at 0\.2"):
        VirtualSource("seed=1", 0.2)
