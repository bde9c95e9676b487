"""The source over every industrial camera, against a scripted driver: triggers, losses, and a camera that cannot be trusted."""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukostream.edge.camera.bgr import bgr_of, to_bgr
from leukostream.edge.camera.frame import Capabilities, Frame, PixelFormat, SourceTimeout, Trigger
from leukostream.edge.camera.industrial import search
from leukostream.edge.camera.industrial.device import CameraFault, CameraLost, Grabbed
from leukostream.edge.camera.industrial.frame_ids import FrameIds
from leukostream.edge.camera.industrial.lending import Lender
from leukostream.edge.camera.industrial.options import CameraOptions, GenicamOptions, parse_options
from leukostream.edge.camera.industrial.source import CameraSource
from leukostream.edge.camera.uri import open_source
from leukostream.edge.contracts.errors import ConfigError, SourceError
from leukostream.edge.contracts.records import SourceStatistics

pytestmark = pytest.mark.timeout(30)


class ScriptedDevice:
    """Implements `CameraDevice` from a script: frames as id, (id, fault) or (id, fault, camera's ns), or a fault to raise."""

    capabilities = Capabilities()

    def __init__(self, script: deque[Any], age_ms: float | None = None) -> None:
        self.settings: dict[str, str | float] = {"width": 4, "height": 2}
        self.counts_exposures = True
        self.age_ms = age_ms
        self.restarts = 0
        self.grabbed = 0
        self._script = script

    def fire(self) -> None:
        pass

    def grab(self, timeout_s: float) -> Grabbed | None:
        step = self._script.popleft() if self._script else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        self.grabbed += 1
        raw, fault, camera_ns = (*step, None, None)[:3] if isinstance(step, tuple) else (step, None, None)
        return Grabbed(raw, None if fault else np.zeros((2, 4, 3), np.uint8), fault or "", camera_ns, 6, self.age_ms)

    def check(self) -> None:
        pass

    def restart(self) -> None:
        self.restarts += 1

    def statistics(self) -> dict[str, int]:
        return {"underruns": self.grabbed, "completed": self.grabbed}

    def close(self) -> None:
        pass


class Bench:
    """A source over scripted devices, one after the other; None among them: the camera cannot be opened."""

    def __init__(self, options: str, monkeypatch: pytest.MonkeyPatch, opens: Sequence[bool] = ()) -> None:
        monkeypatch.setattr(search, "FIRST_WAIT_S", 0.0)
        monkeypatch.setattr(search, "LONGEST_WAIT_S", 0.0)
        self.script: deque[Any] = deque()
        self.devices: list[ScriptedDevice] = []
        self.age_ms: float | None = None
        self._opens = deque(opens)
        _, given = parse_options("test", f"camera,{options}", GenicamOptions)
        self.source = CameraSource("test:camera", 0.13, given, self._open)

    def _open(self, open_s: float) -> ScriptedDevice:
        if self._opens and not self._opens.popleft():
            raise SourceError("nothing answers there")
        self.devices.append(ScriptedDevice(self.script, self.age_ms))
        return self.devices[-1]

    def expect(self, *indices: int) -> None:
        for index in indices:
            self.source.expect(Trigger(f"t{index}", index, None))

    def ends(self, reads: int = 14) -> list[str]:
        seen = []
        for _ in range(reads):
            with suppress(SourceTimeout):
                frame = self.source.read(0.01)
                seen.append(f"{frame.trigger_id or 'nobody'} {frame.status} {frame.frame_id}")
        return seen

    def codes(self) -> list[str]:
        return [note.code for note in self.source.notes()]


GONE = CameraFault("no answer")
LOST_AND_BACK = ["camera_lost", "camera_back"]


@pytest.mark.parametrize(
    ("script", "expected", "notes"),
    [
        pytest.param([7, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], [], id="in step"),
        pytest.param([7, 9], ["t0 ok 7", "t1 lost 8", "t2 ok 9"], [], id="the counter skips one: the trigger between is lost"),
        pytest.param([7, (8, "packets are missing"), 9], ["t0 ok 7", "t1 incomplete 8", "t2 ok 9"], [], id="damaged"),
        pytest.param([65534, 65535, 1], ["t0 ok 65534", "t1 ok 65535", "t2 ok 65536"], [], id="the counter wraps"),
        pytest.param([7, 8, 9, 10], ["t0 ok 7", "t1 ok 8", "t2 ok 9", "nobody ok 10"], [], id="a frame more than triggers"),
        pytest.param([7, 8, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], ["repeated_frame"], id="a frame comes twice"),
        pytest.param([7, 9, 8], ["t0 ok 7", "t1 lost 8", "t2 ok 9"], ["repeated_frame"], id="a frame comes after the next one"),
        pytest.param([7, GONE, None], ["t0 ok 7", "t1 lost None", "t2 lost None"], LOST_AND_BACK, id="link lost"),
        pytest.param(
            [7, 7, 7, 7],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            ["repeated_frame", "repeated_frame", *LOST_AND_BACK],
            id="the camera repeats itself without end",
        ),
        pytest.param(
            [100, 1], ["t0 ok 100", "t1 lost None", "t2 lost None"], LOST_AND_BACK, id="the counter begins anew: it was off"
        ),
        pytest.param(
            [7, 70_000_000],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_AND_BACK,
            id="a damaged counter loses no millions",
        ),
        pytest.param(
            [(7, None, 50), (8, None, 40)],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_AND_BACK,
            id="the camera's clock goes back",
        ),
        pytest.param(
            [(7, None, 50), (8, None, 50)],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_AND_BACK,
            id="an old exposure under a new number",
        ),
        pytest.param([(7, None, 50), (8, None, 60)], ["t0 ok 7", "t1 ok 8"], [], id="clock and counter go on"),
    ],
)
def test_triggers_on_a_line(script: list[Any], expected: list[str], notes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0, 1, 2)
    bench.script.extend(script)
    assert bench.ends() == expected
    assert bench.codes() == notes


def test_a_trigger_that_the_camera_swallowed_brings_no_frame_to_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0, 1, 2)
    assert bench.ends() == []
    bench.source.give_up("t0")
    assert bench.ends() == ["t1 lost None", "t2 lost None"], "whose frames would come now cannot be known"
    assert bench.codes() == ["over_triggered"]
    assert bench.devices[0].restarts == 1, "so that frames of the old exposures are gone"
    bench.expect(3)
    bench.script.extend([1])
    assert bench.ends() == ["t3 ok 1"]


def test_a_camera_that_answers_no_trigger_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software", monkeypatch)
    for index in range(4):
        bench.expect(index)
        bench.ends(2)
        bench.source.give_up(f"t{index}")
        bench.ends(2)
        if index < 2:
            assert bench.codes() == [], "one silent trigger is a timeout and no more"
    assert bench.codes() == LOST_AND_BACK
    assert len(bench.devices) == 2
    bench.script.extend([5])
    bench.expect(9)
    assert bench.ends() == ["t9 ok 5"]


@pytest.mark.parametrize(
    ("options", "opens", "says"),
    [
        pytest.param("lost_s=0", [True], "did not come back within 0 s", id="the policy is to stop at once"),
        pytest.param("lost_s=0.05", [True, *[False] * 1000], r"no answer\) and did not come back", id="it stays away"),
        pytest.param(
            "lost_s=0.1,silent_s=0.02",
            [True] * 1000,
            "gave no frame for 0.02 s",
            id="it can be opened and gives nothing, for ever",
        ),
    ],
)
def test_a_camera_that_stays_away_ends_the_run(
    options: str, opens: list[bool], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(options, monkeypatch, opens)
    if "silent" not in options:
        bench.script.append(GONE)
    deadline_s = time.monotonic() + 20
    with pytest.raises(CameraLost, match=says) as caught:
        while time.monotonic() < deadline_s:
            bench.ends(1)
            time.sleep(0.001)
    assert caught.value.code == "camera_lost"
    assert bench.codes()[0] == "camera_lost"


def test_attempts_to_find_a_camera_are_said_and_come_ever_less_often() -> None:
    now_s = 100.0
    looking = search.Search(30.0, lambda: now_s)
    looking.begin("no answer.")
    waits = []
    while not looking.is_over():
        assert looking.is_due()
        assert "no answer; the next attempt follows in" in looking.failed("no answer.")
        waits.append(looking.due_in_s())
        now_s += looking.due_in_s()
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(waits[5:]) == {5.0}


def test_a_run_begins_with_what_is_exposed_after_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free-running camera has exposed since it was opened, perhaps for minutes: none of that is a field, and none is lost."""
    bench = Bench("trigger=free", monkeypatch)
    bench.script.extend([1, 2])
    assert bench.ends() == ["frame-1 ok 1", "frame-2 ok 2"]
    bench.source.start()
    bench.script.extend([900, 902])
    assert bench.source.read(0.01).field_index == 0
    assert bench.ends() == ["frame-901 lost 901", "frame-902 ok 902"]
    assert bench.source.statistics() == SourceStatistics(delivered=2, lost=1, underruns=2, driver={"completed": 2}), (
        "and it is not counted either"
    )


def test_statistics_outlive_the_loss_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.source.start()
    bench.expect(*range(5))
    bench.script.extend([7, (8, "damaged"), GONE, None])
    bench.ends()
    bench.expect(5)
    bench.script.extend([1])
    assert bench.ends()[-1] == "t5 ok 1"
    assert bench.source.statistics() == SourceStatistics(
        delivered=2, lost=3, incomplete=1, underruns=3, driver={"completed": 3}
    ), "what the first device has counted is not forgotten with it"


def test_old_frames_are_said_once_and_so_is_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("max_age_ms=100", monkeypatch)
    seen = []
    for number, age_ms in enumerate([20.0, 150.0, 400.0, 30.0, None, 200.0]):
        bench.devices[0].age_ms = age_ms
        bench.script.append(number + 1)
        assert bench.source.read(0.0).age_ms == age_ms
        seen.append(bench.codes())
    assert seen == [[], ["frames_old"], [], ["frames_fresh"], [], ["frames_old"]]


def test_a_buffer_is_lent_until_the_last_image_over_it_is_gone() -> None:
    returned: list[int] = []
    lender, images = Lender(4), []
    for number in range(3):
        pixels = np.full((2, 2), number, np.uint8)
        images.append(lender.lend(pixels, number, returned.append))
        del pixels
    assert returned == [2], "half of the driver's buffers are lent; the third frame is a copy"
    assert [int(image[0, 0]) for image in images] == [0, 1, 2]
    part = images[0][:1][None]
    images[0] = np.zeros(1, np.uint8)
    assert returned == [2], "a view needs it still"
    del part
    assert returned == [2, 0]
    assert lender.lent == 1
    with pytest.raises(ValueError, match="directly over a buffer"):
        lender.lend(np.zeros((4, 4), np.uint8)[:2], 9, returned.append)


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


@pytest.mark.parametrize(
    ("pixel_format", "first", "expected"),
    [
        pytest.param("RGB8", [[[1, 2, 3]] * 4] * 4, [3, 2, 1], id="red and blue change places"),
        pytest.param("BGR8", [[[1, 2, 3]] * 4] * 4, [1, 2, 3], id="as it is"),
        pytest.param("Mono8", [[9] * 4] * 4, [9, 9, 9], id="grey"),
        pytest.param("BayerRG8", [[200, 100] * 4, [100, 50] * 4] * 4, [50, 100, 200], id="red first"),
        pytest.param("BayerBG8", [[50, 100] * 4, [100, 200] * 4] * 4, [50, 100, 200], id="blue first"),
        pytest.param("BayerGR8", [[100, 200] * 4, [50, 100] * 4] * 4, [50, 100, 200], id="green, then red"),
        pytest.param("BayerGB8", [[100, 50] * 4, [200, 100] * 4] * 4, [50, 100, 200], id="green, then blue"),
    ],
)
def test_pixels_become_bgr(pixel_format: PixelFormat, first: list[Any], expected: list[int]) -> None:
    pixels = np.array(first, np.uint8)
    assert to_bgr(pixels, pixel_format)[2, 2].tolist() == expected
    slots = np.zeros((3, *pixels.shape[:2], 3), np.uint8)
    to_bgr(pixels, pixel_format, into=slots[1])
    assert slots[1, 2, 2].tolist() == expected, "in place: the slot is written and nothing else"
    assert not slots[[0, 2]].any()
    image = bgr_of(Frame("t", 0, "ok", pixels, 0.13, 0, 0, pixel_format=pixel_format))
    assert image is not None
    assert image[2, 2].tolist() == expected


def test_a_conversion_that_would_not_land_in_the_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be converted into"):
        to_bgr(np.zeros((4, 4), np.uint8), "Mono8", into=np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        pytest.param(",trigger=software", "names no camera", id="no address"),
        pytest.param("10.0.0.1,exposure=5", "`exposure` is not a known key", id="unknown option"),
        pytest.param("10.0.0.1,trigger=sometimes", "`trigger`", id="unknown trigger"),
        pytest.param("10.0.0.1,buffers", "is not NAME=VALUE", id="no value"),
        pytest.param("10.0.0.1,format=YUV422", "`format`", id="a format nobody can read"),
    ],
)
def test_a_mistake_in_the_address_is_one_sentence(rest: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_source(f"aravis:{rest}", 0.13)


@pytest.mark.parametrize(
    ("rest", "address", "lost_s"),
    [
        pytest.param("0", "0", 15.0, id="an index"),
        pytest.param("0,lost_s=3", "0", 3.0, id="an index and an option"),
        pytest.param("rtsp://a:b@host/x?y=1,2,z=3,lost_s=3", "rtsp://a:b@host/x?y=1,2,z=3", 3.0, id="a URL with commas"),
        pytest.param(
            "v4l2src ! video/x-raw,width=640 ! appsink", "v4l2src ! video/x-raw,width=640 ! appsink", 15.0, id="GStreamer"
        ),
    ],
)
def test_options_follow_an_address_that_may_hold_commas(rest: str, address: str, lost_s: float) -> None:
    found, options = parse_options("opencv", rest, CameraOptions, address_pattern=r"\S.*")
    assert (found, options.lost_s) == (address, lost_s)
