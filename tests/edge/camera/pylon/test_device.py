"""A Basler camera through pypylon and its own camera emulator: real buffers, triggers and failures, no hardware."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge.camera.frame import Frame, FrameSource, SourceTimeout, Trigger
from edge.camera.industrial import genicam_device
from edge.camera.industrial.camera_device import CameraFault
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import bgr_of
from edge.camera.pylon import library as module
from edge.camera.pylon.device import PylonDevice, id_of, open_pylon
from edge.camera.pylon.library import discovered_pylon
from edge.command_list import app
from edge.contracts.errors import ConfigError, SourceError

# By its signal: a driver whose waits need SIGALRM for themselves would hang here.
pytestmark = pytest.mark.timeout(60, method="signal")
SERIAL = "0815-0000"
SMALL = "width=128,height=96"


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two emulated cameras; none is looked for on the network, where a test has no business."""
    pytest.importorskip("pypylon", reason="pypylon is not installed here")
    monkeypatch.setenv("PYLON_CAMEMU", "2")
    monkeypatch.setattr(module, "NETWORK", ())
    monkeypatch.setattr(genicam_device, "RETRY_S", 0.02)


class Bench:
    """A source, and its camera's own features behind the source's back."""

    def __init__(self, rest: str, prepare: Callable[["Bench"], None] = lambda _: None) -> None:
        serial, options = parse_options("pylon", rest, GenicamOptions)
        self.devices: list[PylonDevice] = []

        def opened(open_s: float) -> PylonDevice:
            self.devices.append(PylonDevice(serial, options, open_s))
            return self.devices[-1]

        self.source = CameraSource(f"pylon:{rest}", 0.13, options, opened)
        prepare(self)
        self.source.start()

    @property
    def camera(self) -> Any:  # noqa: ANN401 - pypylon has no types
        return self.devices[-1]._camera

    def set(self, **features: str) -> None:
        for name, value in features.items():
            self.camera.GetNodeMap().GetNode(name).FromString(value)

    def execute(self, name: str) -> None:
        self.camera.GetNodeMap().GetNode(name).Execute()

    def expect(self, *names: str) -> None:
        for name in names:
            self.source.expect(Trigger(name, int(name[1:]), None))

    def pulse(self, n: int) -> None:
        """What a scanner's line would do, once the camera is ready for it. The emulator takes its software trigger for that."""
        while not self.camera.WaitForFrameTriggerReady(0, self.devices[-1]._return):
            time.sleep(0.001)
        for _ in range(n):
            self.execute("TriggerSoftware")

    def ends(self, n: int, wait_s: float = 2.0) -> list[Frame]:
        """The next `n` frames, or as many as come: the first one within `wait_s`."""
        frames: list[Frame] = []
        for _ in range(n):
            try:
                frames.append(self.source.read(wait_s if not frames else 0.3))
            except SourceTimeout:
                break
        return frames

    def settled(self) -> list[str]:
        """What is said until the line has been quiet for long enough."""
        said = self.noted()
        while "in_step" not in said:
            self.ends(1, 0.05)
            said += self.noted()
        return said

    def noted(self) -> list[str]:
        return [note.code for note in self.source.notes()]


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(rest: str, prepare: Callable[[Bench], None] = lambda _: None) -> Bench:
        benches.append(Bench(rest, prepare))
        return benches[-1]

    yield make
    for each in benches:
        each.source.close()


def plays(folder: Path) -> Callable[[Bench], None]:
    """The emulator exposes the folder's images, one after the other, whenever an acquisition begins from the first."""

    def prepare(on: Bench) -> None:
        on.camera.StopGrabbing()
        on.set(TestImageSelector="Off", ImageFilename=str(folder), ImageFileMode="On")

    return prepare


def images(folder: Path, *colours_bgr: tuple[int, int, int]) -> Path:
    for number, colour in enumerate(colours_bgr):
        cv2.imwrite(str(folder / f"{number:03}.png"), np.full((96, 128, 3), colour, np.uint8))
    return folder


def test_a_camera_that_paces_itself_has_a_field_for_every_id(bench: Callable[..., Bench]) -> None:
    frames = bench(f"{SERIAL},rate=100,{SMALL}").ends(30)
    assert [(frame.frame_id, frame.field_index, frame.status) for frame in frames] == [(i, i, "ok") for i in range(30)]
    assert {frame.t_camera_ns for frame in frames} == {None}, "the emulator's time stamps are all 0, which is no time"
    assert all(frame.image is not None and frame.image.shape == (96, 128, 3) for frame in frames)


def test_settings_are_read_back_and_the_camera_says_what_it_is(bench: Callable[..., Bench]) -> None:
    on = bench(f"{SERIAL},trigger=software,exposure_us=2000,gain=1,rate=50,width=640,height=480,x=16,y=8")
    camera = dict(on.source.info.camera)
    assert float(camera.pop("gain")) == pytest.approx(1, abs=0.01), "as near as the camera's own steps"
    assert camera == {
        "vendor": "Basler",
        "model": "Emulation",
        "serial": SERIAL,
        "format": "RGB8Packed",
        "exposure_us": "2000.0",
        "rate": "50.0",
        "x": "16",
        "y": "8",
        "width": "640",
        "height": "480",
        "trigger": "software",
    }
    can = on.source.info.capabilities
    assert (can.hardware_trigger, can.software_trigger, can.timestamps) == (True, True, False)


def test_every_software_trigger_has_its_own_exposure(bench: Callable[..., Bench], tmp_path: Path) -> None:
    numbered = images(tmp_path, *((8 * i, 8 * i, 8 * i) for i in range(30)))
    on = bench(f"{SERIAL},trigger=software,{SMALL}", plays(numbered))
    seen = []
    for index in range(30):
        on.expect(f"t{index}")
        frame = on.source.read(2.0)
        assert frame.image is not None
        seen.append((frame.trigger_id, frame.status, int(frame.image[5, 5, 0]) // 8, frame.frame_id))
    assert seen == [(f"t{i}", "ok", i, i) for i in range(30)]
    assert on.source.statistics().driver["total_buffer_count"] == 30
    assert on.noted() == []


def test_a_trigger_right_after_the_begin_of_an_acquisition_is_not_swallowed(bench: Callable[..., Bench]) -> None:
    on = bench(f"{SERIAL},trigger=software,{SMALL}")
    for index in range(20):
        on.source.start()
        on.expect(f"t{index}")
        assert on.source.read(2.0).trigger_id == f"t{index}"


@pytest.mark.parametrize(
    ("pixel_format", "expected"),
    [
        pytest.param("RGB8", (30, 90, 210), id="known as RGB8Packed before the standard"),
        pytest.param("BGR8", (30, 90, 210), id="known as BGR8Packed"),
        pytest.param("BayerRG8", (30, 90, 210), id="one value per pixel"),
        pytest.param("BayerGB8", (30, 90, 210), id="another first pixel"),
        pytest.param("Mono8", (110, 110, 110), id="grey, as the emulator weighs the colours"),
    ],
)
def test_colours_are_what_the_camera_exposed(
    bench: Callable[..., Bench], tmp_path: Path, pixel_format: str, expected: tuple[int, int, int]
) -> None:
    on = bench(f"{SERIAL},trigger=software,format={pixel_format},{SMALL}", plays(images(tmp_path, (30, 90, 210))))
    on.expect("t0")
    image = bgr_of(on.source.read(2.0))
    assert image is not None
    assert image[40, 40].tolist() == pytest.approx(expected, abs=12 if pixel_format == "Mono8" else 1)


def test_failed_buffers_are_incomplete_fields_and_shift_nothing(bench: Callable[..., Bench]) -> None:
    on = bench(f"{SERIAL},trigger=software,{SMALL}")
    seen = []
    for index in range(8):
        if index == 3:
            on.set(ForceFailedBufferCount="2")
            on.execute("ForceFailedBuffer")
        on.expect(f"t{index}")
        frame = on.source.read(2.0)
        seen.append((frame.trigger_id, frame.status, frame.frame_id))
        damaged = frame.status == "incomplete"
        assert (frame.image is None, frame.detail) == (damaged, "The buffer was incompletely grabbed." if damaged else "")
    assert seen == [(f"t{i}", "incomplete" if i in {3, 4} else "ok", i) for i in range(8)]
    statistics = on.source.statistics()
    assert (statistics.incomplete, statistics.driver["failed_buffer_count"]) == (2, 2)


def test_pulses_that_come_too_fast_are_swallowed_and_that_is_said(bench: Callable[..., Bench]) -> None:
    """Ten in a row give one frame, without a word of the camera's."""
    on = bench(f"{SERIAL},trigger=Line1,quiet_s=0.2,{SMALL}")
    on.expect(*(f"t{i}" for i in range(10)))
    on.pulse(10)
    assert [(frame.trigger_id, frame.status) for frame in on.ends(10)] == [("t0", "ok")]
    on.source.give_up("t1")
    assert [(frame.trigger_id, frame.status) for frame in on.ends(8)] == [(f"t{i}", "lost") for i in range(2, 10)]
    assert on.noted() == ["over_triggered"]
    on.expect("t10")
    on.pulse(1)
    assert [(frame.trigger_id, frame.status) for frame in on.ends(1)] == [("t10", "lost")], "the line was not quiet"
    assert on.settled() == ["in_step"]
    on.expect("t11")
    on.pulse(1)
    assert [(frame.trigger_id, frame.status) for frame in on.ends(1)] == [("t11", "ok")], "in step again"


def test_a_camera_that_was_unplugged_loses_its_triggers_and_is_found_again(bench: Callable[..., Bench]) -> None:
    on = bench(f"{SERIAL},trigger=software,{SMALL}")
    on.expect("t0")
    first = on.ends(1)
    on.execute("FirePnPCallback")  # the emulator's way to tell pylon that it was unplugged
    assert on.ends(1, 0.1) == []
    on.expect("t1")
    lost = on.ends(1)
    said = on.settled()  # the camera is looked for while nobody waits for a frame
    on.expect("t2")
    assert [(frame.trigger_id, frame.status) for frame in [*first, *lost, *on.ends(1)]] == [
        ("t0", "ok"),
        ("t1", "lost"),
        ("t2", "ok"),
    ]
    assert said == ["camera_lost", "camera_back", "in_step"]
    assert on.source.statistics().driver["total_buffer_count"] == 2, "those of the camera before are not forgotten"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda camera: camera.StopGrabbing(), id="its acquisition ended by itself"),
        pytest.param(lambda camera: camera.Close(), id="closed by somebody else"),
        pytest.param(lambda camera: camera.DestroyDevice(), id="its device is no more"),
    ],
)
def test_a_camera_that_can_no_longer_be_read_is_lost_and_opened_again(
    bench: Callable[..., Bench], end: Callable[[Any], None]
) -> None:
    on = bench(f"{SERIAL},rate=100,{SMALL}")
    assert len(on.ends(3)) == 3
    end(on.camera)
    while len(on.devices) == 1:
        on.ends(1, 0.1)
    assert on.ends(3)[-1].status == "ok"
    assert on.noted() == ["camera_lost", "camera_back"]


def test_a_device_that_was_closed_says_so_and_keeps_its_counts() -> None:
    device = PylonDevice(SERIAL, GenicamOptions(width=128, height=96), 1.0)
    assert device.grab(2.0) is not None
    device.close()
    for call in (device.fire, device.check, device.restart, lambda: device.grab(0.1)):
        with pytest.raises(CameraFault, match=r"^it was closed$"):
            call()
    assert device.statistics()["total_buffer_count"] >= 1
    device.close()


@pytest.mark.parametrize(
    ("n", "restart_every"), [pytest.param(160, 31, id="160"), pytest.param(2000, 97, id="2000", marks=pytest.mark.soak)]
)
def test_images_may_live_as_long_as_they_like(n: int, restart_every: int) -> None:
    """Frames that end in random order in other threads, over restarts of the acquisition and the end of the camera."""
    device = PylonDevice(SERIAL, GenicamOptions(rate=1000, width=320, height=240, exposure_us=100), 1.0)
    waiting: Queue[np.ndarray | None] = Queue()
    changed: list[int] = []

    def use(seed: int) -> None:
        dice, mine = random.Random(seed), []
        while (image := waiting.get()) is not None:
            mine.append((image[::2], int(image.sum())))  # the view alone must keep the buffer
            del image
            while mine and dice.random() < 0.6:
                view, _ = mine.pop(dice.randrange(len(mine)))
                del view
            changed.extend(1 for view, total in mine if view.base is None or int(view.base.sum()) != total)

    users = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
    for user in users:
        user.start()
    lent = 0
    for index in range(n):
        if index % restart_every == restart_every - 1:
            device.restart()
        grabbed = device.grab(5.0)
        assert grabbed is not None and grabbed.pixels is not None and not grabbed.fault
        lent = max(lent, device._lender.lent)
        waiting.put(grabbed.pixels)
        del grabbed
    for _ in users:
        waiting.put(None)
    for user in users:
        user.join()
    assert changed == [], "pylon has written into a buffer that was lent"
    assert 1 < lent <= 8, "half of the buffers, so that the camera never waits for us"
    assert device._lender.lent == 0, "every buffer came back"
    held = [device.grab(5.0) for _ in range(4)]
    totals = [int(grabbed.pixels.sum()) for grabbed in held if grabbed and grabbed.pixels is not None]
    device.close()
    assert [int(grabbed.pixels.sum()) for grabbed in held if grabbed and grabbed.pixels is not None] == totals
    assert len(totals) == 4
    held.clear()
    assert device._lender.lent == 0


def test_while_nobody_reads_nothing_is_lost_without_a_word(bench: Callable[..., Bench]) -> None:
    on = bench(f"{SERIAL},rate=100,buffers=4,{SMALL}")
    first = on.ends(2)
    time.sleep(0.3)
    ids = [frame.frame_id for frame in [*first, *on.ends(10)]]
    assert ids == list(range(12)), "the emulator waits for a buffer; a camera would skip ids, which are counted as lost"


@pytest.mark.parametrize(
    ("block_id", "zero_is_an_id", "expected"),
    [
        pytest.param(7, False, 7, id="the camera counts"),
        pytest.param(0, True, 0, id="by USB the first one is 0"),
        pytest.param(0, False, 5, id="by GigE Vision 0 says that it does not count"),
        pytest.param(2**64 - 1, True, 5, id="this buffer has none"),
    ],
)
def test_ids_are_the_cameras_own_where_it_has_some(block_id: int, zero_is_an_id: bool, expected: int) -> None:
    assert id_of(block_id, 4, zero_is_an_id) == expected


@pytest.mark.parametrize(
    ("rest", "kind", "says"),
    [
        pytest.param("0815-0009,open_s=0.1", SourceError, "there is 0815-0000, 0815-0001", id="no such serial number"),
        pytest.param(",trigger=free", ConfigError, "there is 0815-0000, 0815-0001", id="no serial number"),
        pytest.param("any", SourceError, "camera any cannot be opened", id="a serial number is never guessed"),
        pytest.param(f"{SERIAL},width=9999", SourceError, "Width=9999: Value = 9999 must be equal or smaller", id="too wide"),
        pytest.param(f"{SERIAL},trigger=Line7", SourceError, "TriggerSource", id="a line that it does not have"),
        pytest.param(f"{SERIAL},format=BayerRG8,red=2", SourceError, "BalanceRatioSelector is not there", id="no balance"),
        pytest.param(f"{SERIAL},packet=9000", ConfigError, "`packet` is not a known key", id="an option of aravis"),
    ],
)
def test_a_mistake_is_one_sentence(rest: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        opened(rest if "open_s" in rest else f"{rest},open_s=0.1")
    text = str(caught.value)
    assert says in text and "\n" not in text and text.endswith(".") and "thrown" not in text


def opened(rest: str) -> FrameSource:
    return open_pylon(rest, 0.13)


def test_without_pypylon_the_edge_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypylon", None)
    with pytest.raises(SourceError, match=r'pip install "leukostream\[pylon\]"\.$'):
        opened(SERIAL)
    assert discovered_pylon(network=False) == [], "listing goes on without it"


def test_cameras_and_producers_are_listed_as_a_run_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("maker.cti", "readme.txt"):
        (tmp_path / name).write_bytes(b"never loaded")
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"/nowhere:{tmp_path}")
    listed = CliRunner().invoke(app, ["cameras"])
    assert listed.exit_code == 0
    lines = listed.stdout.splitlines()
    assert f"pylon:{SERIAL}  Basler Emulation, serial number {SERIAL}" in lines
    assert [line for line in lines if line.startswith("genicam:")] == [
        f"genicam:{tmp_path}/maker.cti  GenTL producer, which knows its own cameras"
    ]
