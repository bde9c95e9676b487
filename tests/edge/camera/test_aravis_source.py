"""A real GigE Vision client against a fake camera of our own, in a network namespace; its logic against scripted devices."""

from collections import deque
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.namespace import play

from leukostream.edge.camera.aravis import source as module
from leukostream.edge.camera.aravis.device import Grabbed
from leukostream.edge.camera.aravis.library import CameraFault
from leukostream.edge.camera.aravis.options import AravisOptions
from leukostream.edge.camera.aravis.source import AravisSource, CameraLost
from leukostream.edge.camera.bgr import to_bgr
from leukostream.edge.camera.frame import SourceTimeout, Trigger
from leukostream.edge.camera.frame_ids import FrameIds
from leukostream.edge.contracts.errors import ConfigError, SourceError

pytestmark = pytest.mark.timeout(80)


def test_every_trigger_has_its_own_exposure_over_the_wrap_of_the_counter() -> None:
    seen = play("triggered", "150")
    assert [(frame["trigger"], frame["status"], frame["number"]) for frame in seen["frames"]] == [
        (f"t{index}", "ok", index) for index in range(150)
    ]
    assert [frame["id"] for frame in seen["frames"]] == list(range(65401, 65551)), "65535 is followed by 1, and unwrapped"
    assert (seen["size"], seen["statistics"]["completed"], seen["statistics"]["failed"]) == ([732, 574], 150, 0)
    assert seen["camera"]["exposure_us"] == "2000.0", "what was set is read back"


def test_lost_packets_are_incomplete_fields_and_shift_nothing() -> None:
    seen = play("lossy", "30")
    by_status = {status: [frame for frame in seen["frames"] if frame["status"] == status] for status in ("ok", "incomplete")}
    assert len(by_status["ok"]) + len(by_status["incomplete"]) == len(seen["frames"]) == 30
    assert all(frame["trigger"] == f"t{frame['number']}" for frame in by_status["ok"])
    assert len(by_status["incomplete"]) == seen["statistics"]["failed"] > 0
    assert seen["statistics"]["missing_packets"] > 0


def test_a_camera_that_dies_loses_its_triggers_and_is_found_again() -> None:
    seen = play("killed_camera")
    statuses = [frame["status"] for frame in seen["frames"]]
    assert statuses[:6] == ["ok"] * 5 + ["lost"]
    assert statuses[-3:] == ["ok"] * 3
    assert seen["notes"][0] == "camera_lost"
    assert seen["notes"][-1] == "camera_back"
    assert [frame["trigger"] for frame in seen["frames"]] == [f"t{index}" for index in range(len(statuses))], "one end each"


def test_opening_waits_for_a_camera_that_a_dead_client_still_holds() -> None:
    seen = play("dead_client")
    assert [frame["status"] for frame in seen["frames"]] == ["ok"] * 3
    assert seen["waited_s"] > 0.5, "it was held, else this test shows nothing"


def test_a_camera_that_paces_itself_has_a_field_for_every_id() -> None:
    seen = play("free_running", "60")
    frames = seen["frames"]
    assert [frame["index"] for frame in frames] == list(range(60))
    assert [frame["id"] for frame in frames] == list(range(frames[0]["id"], frames[0]["id"] + 60))
    assert {frame["status"] for frame in frames} == {"ok", "lost"}, "while nobody read, the driver had no buffers"
    assert all(frame["number"] == frame["id"] - frames[0]["id"] + frames[0]["number"] for frame in frames if frame["number"])


def test_a_whole_edge_counts_what_a_scanner_triggers() -> None:
    seen = play("whole_edge", "60")
    assert (seen["edge"], seen["scanner"], seen["problems"], seen["outcomes"]) == (0, 0, [], {"stopped": 1})
    assert seen["fields"] == {"ok": 60}
    assert (seen["camera"]["model"], seen["camera"]["trigger"]) == ("Fake", "software"), "run_start says what it was and did"


def test_cameras_are_listed_as_a_run_names_them() -> None:
    seen = play("cameras")
    assert {"source": "aravis:127.0.0.1", "what": "Fake, serial number GV01, Aravis-Fake-GV01"} in seen["found"]
    code, out, said = seen["none"]
    assert (code, out) == (4, "[]") or "opencv:" in out, "this machine may have a camera of its own"
    assert "Traceback" not in said


class ScriptedDevice:
    """What `AravisDevice` does, from a script: ids of frames that come, or a fault to raise."""

    script: ClassVar[deque[Any]] = deque()
    opens: ClassVar[deque[bool]] = deque()
    restarts: ClassVar[int] = 0

    def __init__(self, address: str, options: AravisOptions) -> None:
        if self.opens and not self.opens.popleft():
            raise SourceError("not there")
        self.settings: dict[str, str | float] = {"width": 4, "height": 2}

    def fire(self) -> None:
        pass

    def grab(self, timeout_s: float) -> Grabbed | None:
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        raw, fault = step if isinstance(step, tuple) else (step, "")
        return Grabbed(raw, None if fault else np.zeros((2, 4, 3), np.uint8), fault, 5, 6)

    def check(self) -> None:
        pass

    def restart(self) -> None:
        type(self).restarts += 1

    def statistics(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedDevice]:
    monkeypatch.setattr(module, "AravisDevice", ScriptedDevice)
    monkeypatch.setattr(module, "_REOPEN_EVERY_S", 0.0)
    ScriptedDevice.script.clear()
    ScriptedDevice.opens.clear()
    ScriptedDevice.restarts = 0
    return ScriptedDevice


def ends(source: AravisSource, reads: int = 12) -> list[str]:
    seen = []
    for _ in range(reads):
        try:
            frame = source.read(0.0)
            seen.append(f"{frame.trigger_id or 'nobody'} {frame.status} {frame.frame_id}")
        except SourceTimeout:
            pass
    return seen


@pytest.mark.parametrize(
    ("script", "expected", "notes"),
    [
        pytest.param([7, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], [], id="in step"),
        pytest.param([7, 9], ["t0 ok 7", "t1 lost 8", "t2 ok 9"], [], id="the counter skips one: the trigger between is lost"),
        pytest.param([7, (8, "packets are missing"), 9], ["t0 ok 7", "t1 incomplete 8", "t2 ok 9"], [], id="damaged"),
        pytest.param([65534, 65535, 1], ["t0 ok 65534", "t1 ok 65535", "t2 ok 65536"], [], id="the counter wraps"),
        pytest.param([7, 8, 9, 10], ["t0 ok 7", "t1 ok 8", "t2 ok 9", "nobody ok 10"], [], id="a frame more than triggers"),
        pytest.param([7, 8, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], ["counter_went_back"], id="the camera repeats itself"),
        pytest.param(
            [7, CameraFault("gone"), None],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            ["camera_lost", "camera_back"],
            id="link lost",
        ),
    ],
)
def test_triggers_on_a_line(device: type[ScriptedDevice], script: list[Any], expected: list[str], notes: list[str]) -> None:
    source = AravisSource("camera,trigger=Line1", 0.13)
    for index in range(3):
        source.expect(Trigger(f"t{index}", index, None))
    device.script.extend(script)
    assert ends(source) == expected
    assert [note.code for note in source.notes()] == notes


def test_a_trigger_that_the_camera_swallowed_brings_no_frame_to_another_one(device: type[ScriptedDevice]) -> None:
    source = AravisSource("camera,trigger=Line1", 0.13)
    for index in range(3):
        source.expect(Trigger(f"t{index}", index, None))
    assert ends(source) == []
    source.give_up("t0")
    assert ends(source) == ["t1 lost None", "t2 lost None"], "whose frames would come now cannot be known"
    assert [note.code for note in source.notes()] == ["over_triggered"]
    assert device.restarts == 1, "so that frames of the old exposures are gone"
    source.expect(Trigger("t3", 3, None))
    device.script.extend([1])
    assert ends(source) == ["t3 ok 1"]


def test_a_camera_that_stays_away_ends_the_run(device: type[ScriptedDevice]) -> None:
    source = AravisSource("camera,trigger=software,lost_s=0", 0.13)
    device.script.append(CameraFault("no answer"))
    device.opens.extend([False] * 5)
    with pytest.raises(CameraLost, match="did not come back within 0 s"):
        for _ in range(5):
            ends(source, 1)


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
def test_pixels_become_bgr(pixel_format: str, first: list[Any], expected: list[int]) -> None:
    pixels = np.array(first, np.uint8)
    assert to_bgr(pixels, pixel_format)[2, 2].tolist() == expected


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
        AravisSource(rest, 0.13)
