"""Which frame is whose: on a line by order and count, by software one at a time, and never on a guess."""

import time
from typing import Any

import pytest
from support.scripted_camera import GONE, LOST_AND_BACK, Bench

from edge.camera.frame import Trigger
from edge.camera.industrial import matching
from edge.camera.industrial.camera_device import CameraLost

pytestmark = pytest.mark.timeout(30)
LOST_UNCONFIRMED = [LOST_AND_BACK[0], "unconfirmed_fields", LOST_AND_BACK[1]]


@pytest.mark.parametrize(
    ("script", "expected", "notes"),
    [
        pytest.param([7, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], [], id="in step"),
        pytest.param([7, 9], ["t0 ok 7", "t1 lost 8", "t2 ok 9"], [], id="the counter skips one: the trigger between is lost"),
        pytest.param([7, (8, "packets are missing"), 9], ["t0 ok 7", "t1 incomplete 8", "t2 ok 9"], [], id="damaged"),
        pytest.param([65534, 65535, 1], ["t0 ok 65534", "t1 ok 65535", "t2 ok 65536"], [], id="the counter wraps"),
        pytest.param(
            [7, 8, 9, 10],
            ["t0 ok 7", "t1 ok 8", "t2 ok 9"],
            ["over_triggered"],
            id="a frame more than triggers: it may be the last one's own",
        ),
        pytest.param([7, 8, 8, 9], ["t0 ok 7", "t1 ok 8", "t2 ok 9"], ["repeated_frame"], id="a frame comes twice"),
        pytest.param([7, 9, 8], ["t0 ok 7", "t1 lost 8", "t2 ok 9"], ["repeated_frame"], id="a frame comes after the next one"),
        pytest.param([7, GONE, None], ["t0 ok 7", "t1 lost None", "t2 lost None"], LOST_UNCONFIRMED, id="link lost"),
        pytest.param(
            [7, 7, 7, 7],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            ["repeated_frame", "repeated_frame", *LOST_UNCONFIRMED],
            id="the camera repeats itself without end",
        ),
        pytest.param(
            [100, 1], ["t0 ok 100", "t1 lost None", "t2 lost None"], LOST_UNCONFIRMED, id="the counter begins anew: it was off"
        ),
        pytest.param(
            [7, 70_000_000],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_UNCONFIRMED,
            id="a damaged counter loses no millions",
        ),
        pytest.param(
            [(7, None, 50), (8, None, 40)],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_UNCONFIRMED,
            id="the camera's clock goes back",
        ),
        pytest.param(
            [(7, None, 50), (8, None, 50)],
            ["t0 ok 7", "t1 lost None", "t2 lost None"],
            LOST_UNCONFIRMED,
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
    bench = Bench("trigger=Line1,quiet_s=0.05", monkeypatch)
    bench.expect(0, 1)
    bench.script.extend([1, 2])
    assert bench.ends() == ["t0 ok 1", "t1 ok 2"]
    time.sleep(0.06)  # a quiet line: as many frames as triggers, and these are certain
    bench.expect(2, 3, 4, 5)
    bench.script.extend([3, 4, 5])
    assert bench.ends() == ["t2 ok 3", "t3 ok 4", "t4 ok 5"], "which one was swallowed does not show yet"
    bench.source.give_up("t5")
    (note,) = bench.source.notes()
    assert note.code == "over_triggered"
    assert "Fields 2 to 4 may each show a neighbour." in note.message


def test_an_exposure_too_many_names_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact that bounces: from then on frames run ahead of pulses, and every field has the image before its own."""
    bench = Bench("trigger=Line1,quiet_s=0.05", monkeypatch)
    bench.expect(0)
    bench.script.append(1)
    assert bench.ends() == ["t0 ok 1"]
    assert not bench.source.is_certain, "a second frame may follow"
    time.sleep(0.06)
    assert bench.source.is_certain
    for index in (1, 2, 3):
        bench.expect(index)
        bench.script.append(index + 1)  # of t1 there were two: t2 and t3 get the one before
        assert bench.ends(1) == [f"t{index} ok {index + 1}"]
    bench.script.append(5)
    bench.ends(1)
    (note,) = bench.source.notes()
    assert note.code == "over_triggered"
    assert "Fields 1 to 3 may each show a neighbour." in note.message


def test_a_stray_exposure_on_a_quiet_line_is_nobodys_and_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.script.append(1)
    assert bench.ends(1) == ["nobody ok 1"]
    assert bench.codes() == []
    assert bench.source.takes_triggers


def test_frames_that_waited_for_a_reader_are_no_quiet_line(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1,quiet_s=0.1", monkeypatch)
    bench.expect(0)
    bench.source.give_up("t0")
    bench.codes()
    bench.script.extend([5, 6])
    time.sleep(0.12)  # in which nobody reads
    assert bench.ends(3) == []
    assert bench.codes() == [], "pulses went on all the time"
    assert bench.settled() == ["in_step"]


def test_a_line_that_is_never_quiet_is_said_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_TELL_EVERY_NS", 10_000_000)
    bench = Bench("trigger=Line1,quiet_s=0.05,lost_s=0.1", monkeypatch)
    bench.expect(0)
    bench.source.give_up("t0")
    with pytest.raises(CameraLost, match="look for noise or a bouncing contact on its trigger line"):
        for number in range(1, 1000):
            bench.script.append(number)
            bench.ends(1)
            time.sleep(0.002)
            bench.script.append(None)
            bench.ends(1)
    assert bench.codes().count("out_of_step") > 2


def test_a_loss_names_the_fields_that_the_line_had_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1,quiet_s=0.05", monkeypatch)
    bench.expect(4, 5, 6)
    bench.script.extend([1, 2, GONE])
    bench.ends(4)
    notes = bench.source.notes()
    assert [note.code for note in notes][:2] == ["camera_lost", "unconfirmed_fields"]
    assert "fields 4 to 5 were matched by their order" in notes[1].message


def test_one_trigger_at_a_time_without_a_frame_makes_nobody_suspect(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1,quiet_s=0.02", monkeypatch)
    for index in (0, 1):
        bench.expect(index)
        bench.script.append(index + 1)
        bench.ends()
        time.sleep(0.03)
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


@pytest.mark.parametrize(
    ("script", "ends"),
    [
        pytest.param([3], ["t1 lost None"], id="the counter says that one more was exposed, and which is whose nobody knows"),
        pytest.param([2, 3], ["t1 ok 2"], id="a second frame: the camera had a trigger from before, and all were shifted"),
    ],
)
def test_by_software_as_many_exposures_as_triggers_too(
    script: list[int], ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench("trigger=software", monkeypatch)
    for index, frames in enumerate([[1], script]):
        bench.expect(index)
        bench.script.extend(frames)
        seen = bench.ends(4)
    assert seen == ends
    assert bench.codes() == ["over_triggered"]
    assert bench.source.is_settling, "the next trigger waits, and is not lost"
    assert bench.settled() == ["in_step"]
    assert not bench.source.is_settling


def test_by_software_a_frame_from_before_the_edge_fired_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software", monkeypatch)
    bench.devices[0].age_ms = 50.0
    bench.expect(0)
    bench.script.append(1)
    assert bench.ends(1) == ["nobody ok 1"]
    bench.devices[0].age_ms = 0.0
    bench.script.append(2)
    assert bench.ends(1) == ["t0 ok 2"]


def test_a_damaged_frame_that_does_not_say_which_one_it_is_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=Line1", monkeypatch)
    bench.expect(0, 1, 2, 3)
    bench.script.extend([7, (None, "packets are missing"), 9, (10, "damaged")])
    assert bench.ends() == ["t0 ok 7", "t1 incomplete 8", "t2 ok 9", "t3 incomplete 10"]
    assert bench.codes() == []
