"""A camera through a GenTL producer: the one that comes with the genicam package, whose camera paces itself."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.camera.frame import SourceTimeout
from edge.camera.gentl.device import GentlDevice, open_gentl
from edge.camera.industrial import genicam_device
from edge.camera.industrial.camera_device import CameraFault
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.source import CameraSource
from edge.contracts.errors import ConfigError, SourceError

genicam = pytest.importorskip("genicam", reason="harvesters and genicam are not installed here", exc_type=ImportError)
pytest.importorskip("harvesters", reason="harvesters and genicam are not installed here", exc_type=ImportError)
pytestmark = pytest.mark.timeout(60)
PRODUCER = Path(genicam.__file__).with_name("viky.cti")
SMALL = "format=Mono8,width=128,height=100,rate=100"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be opened is tried again soon."""
    monkeypatch.setattr(genicam_device, "RETRY_S", 0.02)


@pytest.fixture
def opened() -> Iterator[Callable[[str], GentlDevice]]:
    devices: list[GentlDevice] = []

    def make(rest: str = SMALL) -> GentlDevice:
        _, options = parse_options("genicam", f"x,{rest}", GenicamOptions)
        devices.append(GentlDevice(PRODUCER, "1", options, 1.0))
        return devices[-1]

    yield make
    for each in devices:
        each.close()


def test_a_camera_that_paces_itself_has_a_field_for_every_id_and_can_be_opened_again() -> None:
    for _ in range(3):
        source = open_gentl(f"{PRODUCER}#1,{SMALL},buffers=4", 0.13)
        source.start()
        frames = [source.read(5.0) for _ in range(10)]
        totals = [int(frame.image.sum()) for frame in frames if frame.image is not None]
        time.sleep(0.2)  # long enough for all four buffers to be filled, and frames to be without one
        frames += [source.read(5.0) for _ in range(15)]
        assert [frame.frame_id for frame in frames] == list(range(1, 26))
        assert [frame.field_index for frame in frames] == list(range(25))
        assert [frame.status for frame in frames[:10]] == ["ok"] * 10
        assert {frame.status for frame in frames[10:]} == {"ok", "lost"}, "those without a buffer are missing in the count"
        kept = [int(frame.image.sum()) for frame in frames[:10] if frame.image is not None]
        assert kept == totals, "an image is a copy, which no later frame is written into"
        assert {frame.image.shape for frame in frames if frame.image is not None} == {(100, 128)}
        assert source.statistics().driver["delivered"] >= 14
        source.close()
        assert source.statistics().driver["delivered"] >= 14, "also when it is closed"


def test_settings_are_read_back_and_the_camera_says_what_it_is(opened: Callable[[str], GentlDevice]) -> None:
    device = opened("format=Mono8,width=200,height=120,rate=25")
    assert device.settings == {
        "vendor": "Machine Vision Games Ltd.",
        "model": "Viky",
        "serial": "1",
        "format": "Mono8",
        "rate": 25.0,
        "x": 0,
        "y": 0,
        "width": 200,
        "height": 120,
        "trigger": "free",
    }
    assert (
        device.capabilities.software_trigger is device.capabilities.hardware_trigger is device.capabilities.timestamps is False
    )


def test_ctrl_c_stays_with_the_edge(opened: Callable[[], GentlDevice]) -> None:
    before = signal.getsignal(signal.SIGINT)
    opened()
    assert signal.getsignal(signal.SIGINT) is before, "harvesters takes it, and then nothing would end a run"


def test_other_threads_go_on_while_no_frame_comes(opened: Callable[[], GentlDevice]) -> None:
    device = opened()
    device._nodes.get_node("AcquisitionStop").execute()
    while device.grab(0.1) is not None:
        pass
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(1)

    other = threading.Thread(target=tick)
    other.start()
    assert device.grab(0.5) is None
    done.set()
    other.join()
    assert len(ticks) > 5, "a wait inside the library would hold the interpreter's lock"


def test_a_camera_that_is_gone_is_lost_and_opened_again() -> None:
    devices: list[GentlDevice] = []
    _, options = parse_options("genicam", f"x,{SMALL}", GenicamOptions)

    def open_device(open_s: float) -> GentlDevice:
        devices.append(GentlDevice(PRODUCER, "1", options, open_s))
        return devices[-1]

    with closing(CameraSource("genicam:x", 0.13, options, open_device)) as source:
        source.start()
        assert source.read(2.0).status == "ok"
        devices[0]._held.close()  # the producer itself ends
        while not source.takes_triggers or len(devices) == 1:  # until it is open again
            with pytest.raises(SourceTimeout):
                source.read(0.1)
        assert source.read(2.0).status == "ok"
        assert [note.code for note in source.notes()] == ["camera_lost", "camera_back"]


def test_a_camera_that_does_not_answer_is_a_fault_in_one_sentence(opened: Callable[[], GentlDevice]) -> None:
    device = opened()
    device.check()
    with pytest.raises(CameraFault, match=r"^Node not existing$"):
        device.fire()
    device.close()
    for call in (device.check, device.restart, lambda: device.grab(0.1)):
        with pytest.raises(CameraFault) as caught:
            call()
        assert str(caught.value) == "it was closed", "and not the end of the process"
    assert device.statistics().keys() >= {"delivered"}
    device.close()


class _NotThere:
    """A buffer's property that the producer does not tell."""


def buffer(**told: Any) -> SimpleNamespace:  # noqa: ANN401 - whatever a producer tells
    """A buffer as genicam has it, of a camera whose frames have 128 x 100 bytes."""
    size = 12_800
    plain = {
        "frame_id": 7,
        "timestamp_ns": 5,
        "size_filled": size,
        "image_offset": 0,
        "padding_x": 0,
        "width": 128,
        "height": 100,
    }
    values = {**plain, "raw_buffer": bytes(size), **told}

    class Told(SimpleNamespace):
        def __getattribute__(self, name: str) -> object:
            found = super().__getattribute__(name)
            if found is _NotThere:
                raise sys.modules["genicam.gentl"].NotAvailableException("GenTL exception: not available (ID: -1014)")
            return found

    queued: list[object] = []
    complete = values.pop("complete", True)
    return Told(**values, is_complete=lambda: complete, queued=queued, parent=SimpleNamespace(queue_buffer=queued.append))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({}, (7, "", 5), id="whole"),
        pytest.param({"complete": False, "size_filled": 99}, (7, "it is incomplete, 99 bytes came", 5), id="damaged"),
        pytest.param({"complete": False, "size_filled": _NotThere}, (7, "it is incomplete", 5), id="damaged, nobody knows how"),
        pytest.param({"size_filled": 99}, (7, "it has 99 bytes and should have 12800", 5), id="said to be whole, and is not"),
        pytest.param({"padding_x": 4}, (7, "its rows have 4 bytes of padding; choose another width", 5), id="padded rows"),
        pytest.param({"timestamp_ns": _NotThere}, (7, "", None), id="no clock"),
        pytest.param({"timestamp_ns": 0}, (7, "", None), id="a clock that is never set"),
        pytest.param({"frame_id": _NotThere}, (1, "", 5), id="no counter: counted here"),
        pytest.param(
            {"width": _NotThere, "height": _NotThere, "padding_x": _NotThere}, (7, "", 5), id="the least it must tell"
        ),
    ],
)
def test_buffers_as_producers_tell_of_them(
    opened: Callable[[], GentlDevice], told: dict[str, Any], expected: tuple[int, str, int | None]
) -> None:
    device, made = opened(), buffer(**told)
    grabbed = device._read(made)
    assert (grabbed.frame_id, grabbed.fault, grabbed.t_camera_ns) == expected
    assert (grabbed.pixels is None) == bool(grabbed.fault)
    assert device.counts_exposures == (told.get("frame_id") is not _NotThere)
    assert made.queued == [made], "it went back to the producer"


@pytest.mark.parametrize(
    ("rest", "kind", "says"),
    [
        pytest.param("/nowhere/maker.cti", SourceError, "/nowhere/maker.cti does not exist", id="no such file"),
        pytest.param("{no_producer},open_s=0.1", SourceError, "is no GenTL producer: Failed to load", id="not a producer"),
        pytest.param(f"{PRODUCER}", SourceError, "viky.cti has the cameras 0, 1, 2; add #", id="which of several"),
        pytest.param(f"{PRODUCER}#9,open_s=0.1", SourceError, "it has no camera 9, only 0, 1, 2", id="no such serial number"),
        pytest.param(f"{PRODUCER}#0,format=Mono8,trigger=software", SourceError, "no feature TriggerSoftware", id="no trigger"),
        pytest.param(f"{PRODUCER}#0,format=Mono8,trigger=Line1", SourceError, "TriggerSource is not there", id="no line"),
        pytest.param(f"{PRODUCER}#0", SourceError, "no pixel format RGB8, only RGBa8, Mono8", id="another format"),
        pytest.param(f"{PRODUCER}#0,format=Mono8,width=9999", SourceError, "Width=9999: Value = 9999 must be", id="too wide"),
        pytest.param("maker.dll#1", ConfigError, "names no camera", id="not a producer's name"),
    ],
)
def test_a_mistake_is_one_sentence(rest: str, kind: type[Exception], says: str, tmp_path: Path) -> None:
    (tmp_path / "text.cti").write_text("no producer")
    with pytest.raises(kind) as caught:
        open_gentl(rest.replace("{no_producer}", str(tmp_path / "text.cti")), 0.13)
    text = str(caught.value)
    assert says in text and "\n" not in text and text.endswith(".") and "thrown" not in text and "ID: -" not in text


def test_a_producer_that_this_program_has_open_says_so(opened: Callable[[], GentlDevice]) -> None:
    opened()
    with pytest.raises(SourceError, match="this program has it open already"):
        open_gentl(f"{PRODUCER}#2,{SMALL},open_s=0.1", 0.13)


def test_without_harvesters_the_edge_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harvesters", None)
    with pytest.raises(SourceError, match=r'pip install "leukostream\[genicam\]"\.$'):
        open_gentl(f"{PRODUCER}#1", 0.13)
