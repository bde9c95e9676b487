"""The source over every industrial camera, against a scripted driver: triggers, losses, and a camera that cannot be trusted."""

import threading
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

    def __init__(self, script: deque[Any], settings: dict[str, str | float], age_ms: float | None) -> None:
        self.settings = dict(settings)
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
        pixels = None if fault else np.zeros((2, 4, 3), np.uint8)
        return Grabbed(raw, pixels, fault or "", camera_ns, time.monotonic_ns(), self.age_ms)

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
        self.settings: dict[str, str | float] = {"width": 4, "height": 2, "serial": "A", "exposure_us": 2000.0}
        self._opens = deque(opens)
        _, given = parse_options("test", f"camera,{options}", GenicamOptions)
        self.source = CameraSource("test:camera", 0.13, given, self._open)

    def _open(self, open_s: float) -> ScriptedDevice:
        if self._opens and not self._opens.popleft():
            raise SourceError("nothing answers there")
        self.devices.append(ScriptedDevice(self.script, self.settings, self.age_ms))
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

    def settled(self) -> list[str]:
        """What is said until the line has been quiet for long enough."""
        said, deadline_s = self.codes(), time.monotonic() + 10
        while "in_step" not in said and time.monotonic() < deadline_s:
            self.ends(1)
            said += self.codes()
        return said

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
    bench = Bench("trigger=Line1,quiet_s=0.1", monkeypatch)
    bench.expect(0, 1, 2)
    assert bench.ends() == []
    bench.source.give_up("t0")
    assert bench.ends() == ["t1 lost None", "t2 lost None"], "whose frames would come now cannot be known"
    assert bench.codes() == ["over_triggered"]
    assert not bench.source.takes_triggers
    bench.expect(3)
    bench.script.extend([8, 9])
    assert bench.ends() == ["t3 lost None"], "pulses of t1 and t2 may come still: their frames are nobody's"
    assert bench.settled() == ["in_step"]
    assert bench.source.takes_triggers
    assert bench.devices[0].restarts == 2, "so that frames of the old exposures are gone"
    bench.expect(4)
    bench.script.extend([1])
    assert bench.ends() == ["t4 ok 1"]


def test_a_pulse_swallowed_in_mid_run_names_the_fields_that_may_show_a_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0, 1)
    bench.script.extend([1, 2])
    assert bench.ends() == ["t0 ok 1", "t1 ok 2"], "as many frames as triggers: these are certain"
    bench.expect(2, 3, 4, 5)
    bench.script.extend([3, 4, 5])
    assert bench.ends() == ["t2 ok 3", "t3 ok 4", "t4 ok 5"], "which one was swallowed does not show yet"
    bench.source.give_up("t5")
    (note,) = bench.source.notes()
    assert note.code == "over_triggered"
    assert "Fields 2 to 4 may each show a neighbour." in note.message


def test_one_trigger_at_a_time_without_a_frame_makes_nobody_suspect(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    for index in (0, 1):
        bench.expect(index)
        bench.script.append(index + 1)
        bench.ends()
    bench.expect(2)
    bench.source.give_up("t2")
    (note,) = bench.source.notes()
    assert (note.code, "may each show" in note.message) == ("out_of_step", False)


def test_more_exposures_than_triggers_are_out_of_step_and_not_many_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0)
    bench.script.extend([1])
    assert bench.ends() == ["t0 ok 1"]
    bench.expect(1, 2)
    bench.script.extend([500])
    assert bench.ends() == ["t1 lost None", "t2 lost None"]
    (note,) = bench.source.notes()
    assert "the camera has exposed 499 times for 2 triggers" in note.message
    assert bench.source.statistics().lost == 2


def test_a_trigger_announced_while_its_frame_arrives_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.source.look_before_matching(lambda: bench.expect(0))
    bench.script.extend([1])
    assert bench.ends(1) == ["t0 ok 1"], "announced after the read had begun, and pulsed at once"


def test_a_frame_from_before_its_trigger_was_accepted_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.devices[0].age_ms = 50.0
    bench.source.expect(Trigger("t0", 0, None, accepted_ns=time.monotonic_ns()))
    bench.script.extend([1])
    assert bench.ends(1) == ["nobody ok 1"]
    bench.devices[0].age_ms = 0.0
    bench.script.extend([2])
    assert bench.ends(1) == ["t0 ok 2"]


def test_by_software_a_frame_is_its_triggers_whatever_was_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software", monkeypatch)
    for index, number in enumerate([1, 3]):
        bench.expect(index)
        bench.script.append(number)
        assert bench.ends(2) == [f"t{index} ok {number}"]
    assert bench.codes() == ["uncounted_frames"]


def test_a_damaged_frame_that_does_not_say_which_one_it_is_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0, 1, 2, 3)
    bench.script.extend([7, (None, "packets are missing"), 9, (10, "damaged")])
    assert bench.ends() == ["t0 ok 7", "t1 incomplete 8", "t2 ok 9", "t3 incomplete 10"]
    assert bench.codes() == []


@pytest.mark.parametrize(
    ("changed", "ends_the_run"),
    [
        pytest.param({"exposure_us": 10000.0}, False, id="it has forgotten its exposure"),
        pytest.param({"serial": "B"}, True, id="another camera"),
        pytest.param({"width": 8}, True, id="another frame size"),
    ],
)
def test_a_camera_that_comes_back_differently_says_so(
    changed: dict[str, str | float], ends_the_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench("trigger=software", monkeypatch)
    bench.settings |= changed
    bench.script.append(GONE)
    name = next(iter(changed))
    if ends_the_run:
        with pytest.raises(CameraLost, match=f"came back as another one .{name} "):
            bench.ends()
        return
    bench.ends()
    notes = bench.source.notes()
    assert [(note.code, note.severity) for note in notes] == [("camera_lost", "warning"), ("camera_back", "warning")]
    assert "exposure_us 2000.0 -> 10000.0" in notes[1].message


def test_while_a_camera_is_gone_triggers_are_lost_at_once_and_no_credit_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software,lost_s=30", monkeypatch, [True, False, False])
    assert bench.source.takes_triggers
    bench.script.append(GONE)
    bench.ends(1)
    assert not bench.source.takes_triggers
    bench.expect(0)
    assert bench.ends(1) == ["t0 lost None"]
    bench.ends()
    assert bench.source.takes_triggers
    assert bench.codes() == ["camera_lost", "camera_missing", "camera_missing", "camera_back"]


def test_a_driver_that_takes_long_to_let_go_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(ScriptedDevice, "close", lambda _: goes_on.wait(20))
    bench = Bench("trigger=software", monkeypatch)
    bench.expect(0)
    bench.script.append(GONE)
    assert bench.ends(3) == ["t0 lost None"]
    assert bench.codes() == ["camera_lost"], "it is said while the driver is still busy"
    assert len(bench.devices) == 1, "a camera has one master: the search waits until the former one has let go"
    goes_on.set()
    bench.ends()
    assert bench.codes() == ["camera_back"]
    bench.source.close()


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
    assert bench.ends() == ["frame-0 ok 1", "frame-1 ok 2"]
    bench.source.start()
    bench.script.extend([900, 902])
    assert bench.ends() == ["frame-0 ok 900", "frame-1 lost 901", "frame-2 ok 902"]
    assert bench.source.statistics() == SourceStatistics(delivered=2, lost=1, underruns=2, driver={"completed": 2}), (
        "and it is not counted either"
    )


def test_statistics_outlive_the_loss_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1,quiet_s=0.05", monkeypatch)
    bench.source.start()
    bench.expect(*range(5))
    bench.script.extend([7, (8, "damaged"), GONE, None])
    bench.ends()
    assert bench.settled() == [*LOST_AND_BACK, "in_step"], "pulses went on while the camera was away"
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
