"""What the virtual scanner has in its hands, without an edge: pulses, the camera on their line, and the perfect detector."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from socket import SOCK_DGRAM

import numpy as np
import pytest

from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.contracts.errors import EngineError, SourceError
from edge.scanner.fault_plan import parse_faults
from edge.scanner.pulse_line import Pulse, PulseListener, PulseSender, free_port
from edge.scanner.pulsed_camera import CameraBody, PulsedCamera, slide_for, smeared
from edge.scanner.scan_area import FIELD_UM, ScanArea, fields_for
from edge.scanner.truth_engine import TruthBook, TruthEngine
from edge.scanner.virtual_rig import VirtualRig
from edge.virtual import SlideSettings, VirtualSlide
from edge.virtual.virtual_stage import StageSettings

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def slide() -> VirtualSlide:
    return slide_for(SlideSettings(seed=3, wbc_per_field_mean=3.0, variants=1), for_truth=True)


@pytest.fixture
def line() -> Iterator[tuple[PulseSender, int]]:
    port = free_port(SOCK_DGRAM)
    with closing(PulseSender(port)) as sender:
        yield sender, port


@pytest.fixture
def body(slide: VirtualSlide, line: tuple[PulseSender, int]) -> Iterator[CameraBody]:
    body = CameraBody(slide, line[1], 0, late_s=0.1)
    yield body
    if body.listener is not None:
        body.listener.close()


def frames(camera: PulsedCamera, n: int) -> list[Grabbed]:
    found = [camera.grab(5.0) for _ in range(n)]
    assert None not in found
    return [each for each in found if each is not None]


@pytest.mark.parametrize(
    ("faults", "ids"),
    [
        pytest.param(((), (), ()), [1, 2, 3], id="a frame per pulse"),
        pytest.param(((), ("dropped",), ()), [1, 3], id="a counter goes on without the frame"),
        pytest.param((("duplicated",), ()), [1, 1, 2], id="a frame that comes twice has one number"),
        pytest.param((("pulse-twice",), ()), [1, 2, 3], id="an exposure that nobody asked for has one of its own"),
        pytest.param((("late",), (), ()), [1, 2, 3], id="a late frame keeps its turn"),
    ],
)
def test_the_camera_counts_exposures(
    body: CameraBody, line: tuple[PulseSender, int], faults: tuple[tuple[str, ...], ...], ids: list[int]
) -> None:
    camera = PulsedCamera(body)
    for at, names in enumerate(faults):
        line[0].send(Pulse(at, 90.0 * at, 0.0, faults=names))
    found = frames(camera, len(ids))
    assert [each.frame_id for each in found] == ids and all(each.pixels is not None for each in found)
    assert camera.grab(0.0) is None


def test_a_counter_of_16_bits_begins_again_with_1(body: CameraBody, line: tuple[PulseSender, int]) -> None:
    body.frame_id = 65534
    camera = PulsedCamera(body)
    for at in range(3):
        line[0].send(Pulse(at, 0.0, 0.0))
    assert [each.frame_id for each in frames(camera, 3)] == [65535, 1, 2]


def test_damaged_frozen_and_unplugged(body: CameraBody, line: tuple[PulseSender, int]) -> None:
    camera = PulsedCamera(body)
    for at, names in enumerate([(), ("frozen",), ("damaged",)]):
        line[0].send(Pulse(at, 90.0 * at, 0.0, faults=names))
    first, frozen, damaged = frames(camera, 3)
    assert frozen.pixels is not None and (frozen.pixels == first.pixels).all() and frozen.frame_id != first.frame_id
    assert damaged.pixels is None and damaged.fault
    line[0].send(Pulse(3, 0.0, 0.0, faults=("camera-gone",)))
    with pytest.raises(CameraFault, match="cable is out"):
        camera.grab(5.0)
    with pytest.raises(SourceError, match="cable is out"):
        PulsedCamera(body)


def test_a_pulse_that_nobody_listens_to_is_gone(line: tuple[PulseSender, int]) -> None:
    line[0].send(Pulse(0, 0.0, 0.0))
    with closing(PulseListener(line[1])) as listener:
        assert listener.wait(0.01) is None
        line[0].send(Pulse(1, 1.5, -2.5, (3.0, 0.0), 8.0, 0.2, ("late",)))
        got = listener.wait(5.0)
        assert got is not None and got.t_ns > 0
        assert got == Pulse(1, 1.5, -2.5, (3.0, 0.0), 8.0, 0.2, ("late",), got.t_ns)
        line[0].send(Pulse(2, 0.0, 0.0))
        listener.forget()
        assert listener.wait(0.0) is None


class Recorded(PulseSender):
    """A line that remembers what went over it."""

    def __init__(self) -> None:
        self.sent: list[Pulse] = []

    def send(self, pulse: Pulse) -> None:
        self.sent.append(pulse)


def test_the_same_seed_makes_the_same_pulses_and_faults() -> None:
    every = ["dropped=20%", "unsettled=20%", "pulse-lost=20%", "dark@2", "edge-killed@4"]
    walks = []
    for seed in (7, 7, 8):
        line, kills = Recorded(), []
        rig = VirtualRig(
            ScanArea(12, 0.1).positions_um(), StageSettings(), 2.0, parse_faults(every, seed), seed, line, 9, 1,
            lambda kills=kills: kills.append(1),
        )  # fmt: skip
        for at in range(12):
            rig.pulse(at)
        assert len(kills) == 1 and len(rig.lives) == 2
        assert {pulse.field_index for pulse in line.sent} == {
            at for at in range(12) if "pulse-lost" not in rig.injected.get(at, ())
        }
        walks.append((line.sent, rig.injected))
    assert walks[0] == walks[1] != walks[2]


@pytest.mark.parametrize("order", ["snake", "rows", "random"])
def test_an_area_is_covered_once_with_the_overlap_asked_for(order: str) -> None:
    area = ScanArea(30, 0.2, order, seed=5)  # type: ignore[arg-type]
    places = area.positions_um()
    assert len(set(places)) == 30
    columns = sorted({round(x, 3) for x, _ in places})
    assert np.allclose(np.diff(columns), FIELD_UM[0] * 0.8)
    steps = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in itertools.pairwise(places)]
    assert (max(steps) < FIELD_UM[0]) == (order == "snake"), "a snake alone never goes far"


def test_an_area_holds_the_target_with_room_for_losses() -> None:
    assert fields_for(200, 1.5, 0.0) >= 200 / 1.5 * 1.25
    assert fields_for(200, 1.5, 0.3) > fields_for(200, 1.5, 0.0)
    assert fields_for(200, 0.0, 0.0) == 100_000, "a slide without leukocytes has an end, too"


def test_the_perfect_detector_finds_what_the_book_has_and_refuses_changed_pixels(slide: VirtualSlide) -> None:
    book = TruthBook()
    engine = TruthEngine(book, 732, 574, 2)
    shown = [slide.render(90.0 * at, 0.0) for at in range(2)]
    for row, field in enumerate(shown):
        book.enter(field.image, field.boxes_px, field.labels)
        engine.slot(0)[row] = field.image
    engine.submit(0, 2)
    found = engine.collect(0)
    for row, field in enumerate(shown):
        n = len(field.labels)
        assert (found.boxes[row, :n] == field.boxes_px).all() and (found.labels[row, :n] == field.labels).all()
        assert (found.scores[row, :n] > 0.9).all() and (found.scores[row, n:] == 0).all()
    engine.slot(0)[0, 0] = 0
    engine.submit(0, 1)
    with pytest.raises(EngineError, match="does not bear the virtual camera's number"):
        engine.collect(0)
    assert engine.info.parity == "waived", "a run with it is never diagnostic"


def test_a_smear_moves_nothing_and_blurs_along_its_way_alone() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    moved = smeared(image, (1.3, 0.0))
    rows, columns = np.nonzero(moved[:, :, 0])
    assert set(rows) == {20} and columns.min() < 18 and columns.max() > 22
    assert abs(columns.mean() - 20) < 0.5
    assert smeared(image, (0.03, 0.0)) is image
