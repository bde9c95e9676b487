"""A drawn slide through a real edge process and real sockets: the count against the truth, and each fault where it shows."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from edge.contracts.errors import ConfigError
from edge.scanner.fault_plan import FAULTS, parse_faults
from edge.scanner.scan_options import ScanOptions
from edge.scanner.scan_report import is_proven
from edge.scanner.scan_truth import Compared
from edge.scanner.virtual_scan import Scanned, perform_scan, slide_of

pytestmark = pytest.mark.timeout(110)
ORDERS = ("snake", "rows", "random")
STAGES_UM = ((0.0, 0.0), (0.8, 0.4), (1.6, 0.8))
"""Repeatability and backlash: positions are off by 0, 1 and 2 um at most."""
LOSSES = {"dropped": 0.03, "damaged": 0.02}
"""Shares of the fields. Never the first: it alone shows where the camera's counter stands, and its loss cannot be known."""


def proof(number: int, target: int) -> Scanned:
    """Scan the `number`-th slide with a perfect detector; overlap, order and stage go through all of theirs in turn."""
    repeatability_um, backlash_um = STAGES_UM[number % 3]
    options = ScanOptions.model_validate(
        {
            "target": target,
            "order": ORDERS[number // 2 % 3],
            "repeatability_um": repeatability_um,
            "backlash_um": backlash_um,
            "first_frame_id": 65500 if number % 4 == 0 else 1,
        }
    )
    draw = np.random.default_rng(number)
    lost = [f"{name}@{at}" for name, share in LOSSES.items() for at in range(1, 400) if draw.random() < share]
    faults = parse_faults(lost, number)
    return perform_scan(slide_of(f"seed:{number},wbc=3,variants=2"), options, 0.05 * (number % 7), faults, "truth", {})


def said(number: int, found: Compared) -> str:
    classes = {label: (found.truth[label], found.counted[label]) for label in {*found.truth, *found.counted}}
    return f"slide {number}: {found.counted.total()} of {found.truth.total()} cells, {classes}, {dict(found.fields)}"


def is_doubted(found: Compared) -> bool:
    """Whether fields show others' pictures, and all of these are in a doubt of `run_stop`."""
    ranges = [re.match(r"fields (\d+) to (\d+) ", doubt) for doubt in found.doubts]
    doubted = {at for each in ranges if each for at in range(int(each[1]), int(each[2]) + 1)}
    return bool(found.misplaced) and set(found.misplaced) <= doubted


def check_proof(number: int, target: int) -> None:
    scanned = proof(number, target)
    found = scanned.compared
    assert scanned.sums.problems == []
    assert is_proven(scanned), said(number, found)
    assert found.misplaced == [] and found.counted_wbc >= target
    reported = {each["field_index"] for each in found.lost}
    dropped = {at for at, names in scanned.injected.items() if {"dropped", "damaged"} & {*names}}
    assert dropped <= reported and all(each["detail"] for each in found.lost), "each loss is reported, with its reason"
    if number % 7:
        assert found.raw > found.counted.total(), "or no cell was seen twice, and nothing is shown"


@pytest.mark.parametrize("number", [5])
def test_a_perfect_detector_s_count_is_that_of_the_slide(number: int) -> None:
    check_proof(number, target=60)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(100))
def test_a_perfect_detector_s_count_is_that_of_each_of_a_hundred_slides(number: int) -> None:
    check_proof(number, target=200)


@dataclass(frozen=True)
class Shows:
    """How a fault shows: the end of its field, an event, a mishap of the scanner, a restart of the edge."""

    status: str = ""
    event: str = ""
    mishap: str = ""
    restarts: int = 0
    is_exact: bool = True
    """Whether the count is certainly that of the slide all the same."""


SHOWS = {
    "unsettled": Shows(is_exact=False),
    "stuck": Shows(is_exact=False),
    "defocus": Shows(),
    "dark": Shows(),
    "pulse-lost": Shows(event="over_triggered", is_exact=False),
    "pulse-twice": Shows(event="over_triggered"),
    "dropped": Shows(status="lost"),
    "duplicated": Shows(event="repeated_frame"),
    "damaged": Shows(status="incomplete"),
    "frozen": Shows(status="incomplete", event="camera_frozen"),
    "late": Shows(status="timeout", event="over_triggered"),
    "camera-gone": Shows(status="lost", event="camera_lost"),
    "disconnect": Shows(mishap="disconnect"),
    "stall": Shows(mishap="stall"),
    "restart": Shows(mishap="restart"),
    "edge-killed": Shows(restarts=1),
}


def scan_with(*faults: str, target: int = 60) -> Scanned:
    options = ScanOptions(target=target)
    return perform_scan(slide_of("seed:42,wbc=3,variants=2"), options, 0.15, parse_faults(faults, 42), "truth", {})


def check_shown(scanned: Scanned, name: str) -> None:
    shows, found = SHOWS[name], scanned.compared
    assert name in found.caught, f"{name} was not injected: {scanned.injected}"
    assert not shows.status or found.caught[name][shows.status], (name, found.caught)
    assert not shows.event or found.events[shows.event], (name, found.events)
    assert not shows.mishap or scanned.mishaps.get(shows.mishap), (name, scanned.mishaps)
    assert scanned.kills >= shows.restarts
    assert scanned.sums.problems == [], "whatever goes wrong, every trigger has one end and all sums match"


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(["dropped@3", "duplicated@6", "damaged@9", "frozen@12", "dark@14", "defocus@16"], id="frames"),
        pytest.param(["disconnect@3", "stall@6", "restart@9", "edge-killed@12"], id="scanner and edge"),
        pytest.param(["pulse-twice@3", "camera-gone@24"], id="line and cable"),
    ],
)
def test_the_count_is_that_of_the_slide_whatever_fails(faults: list[str]) -> None:
    scanned = scan_with(*faults)
    found = scanned.compared
    for each in faults:
        check_shown(scanned, each.partition("@")[0])
    # A pulse that a slow machine gives late may be taken for another trigger's; then the result names the fields.
    assert is_proven(scanned) or is_doubted(found), said(42, found)
    assert found.counted_wbc >= 60


def test_a_lost_pulse_shifts_pictures_and_both_edge_and_table_say_so() -> None:
    scanned = scan_with("unsettled@1", "pulse-lost@3", target=20)
    for name in ("unsettled", "pulse-lost"):
        check_shown(scanned, name)
    assert scanned.compared.misplaced and min(scanned.compared.misplaced) == 3
    assert is_doubted(scanned.compared), "run_stop names every one of them"


def test_every_fault_has_its_row_here() -> None:
    assert set(SHOWS) == set(FAULTS)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_fault_at_a_field_and_by_rate(name: str) -> None:
    check_shown(alone := scan_with(f"{name}@8"), name)
    assert is_proven(alone) or not SHOWS[name].is_exact, said(42, alone.compared)
    often = scan_with(f"{name}=8%", f"{name}@8")
    assert often.sums.problems == [] and name in often.compared.caught
    assert is_proven(often) or is_doubted(often.compared) or not SHOWS[name].is_exact, said(42, often.compared)


@pytest.mark.parametrize(
    ("slide", "says"),
    [
        ("42", "is none; write seed:42"),
        ("seed:", "is none; write seed:42"),
        ("seed:x", "cannot be used"),
        ("seed:1,wbc=900", "cannot be used"),
        ("seed:1,fields=3", "is none; write seed:42"),
        ("", "is none; write seed:42"),
    ],
)
def test_what_is_no_slide_is_one_sentence(slide: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        slide_of(slide)


def test_a_scan_that_cannot_be_is_refused_before_anything_starts() -> None:
    slide = slide_of("seed:1")
    with pytest.raises(ConfigError, match="hardly go on"):
        perform_scan(slide, ScanOptions(), 0.95, parse_faults([], 1), "truth", {})
    with pytest.raises(ConfigError, match="settles at once"):
        perform_scan(slide, ScanOptions(settle_ms=0), 0.1, parse_faults(["unsettled@1"], 1), "truth", {})
