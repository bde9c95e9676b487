"""A camera that is lost, silent, old or another one: what is said, what is counted, and when a run ends."""

import threading
import time

import pytest
from support.scripted_camera import GONE, LOST_AND_BACK, Bench, ScriptedDevice

from edge.camera.industrial import search
from edge.camera.industrial.camera_device import CameraLost
from edge.contracts.records import SourceStatistics

pytestmark = pytest.mark.timeout(30)


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
    bench = Bench("trigger=software,lost_s=30,quiet_s=0.02", monkeypatch, [True, False, False])
    assert bench.source.takes_triggers
    bench.script.append(GONE)
    bench.ends(1)
    assert not bench.source.takes_triggers
    bench.expect(0)
    assert bench.ends(1) == ["t0 lost None"]
    assert bench.settled() == ["camera_lost", "camera_missing", "camera_missing", "camera_back", "in_step"]
    assert bench.source.takes_triggers


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
    bench = Bench("trigger=software,quiet_s=0.02", monkeypatch)
    for index in range(3):
        bench.expect(index)
        bench.ends(2)
        bench.source.give_up(f"t{index}")
        if index < 2:
            assert bench.settled() == ["out_of_step", "in_step"], "one silent trigger is a timeout and no more"
    assert bench.settled() == ["out_of_step", *LOST_AND_BACK, "in_step"]
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


def test_time_in_which_the_camera_is_there_is_not_held_against_it() -> None:
    now_s = 0.0
    looking = search.Search(10.0, lambda: now_s)
    looking.begin("no answer")
    now_s = 6.0
    assert looking.opened() == 6.0
    now_s = 1000.0
    assert not looking.is_over()
    looking.begin("no answer")
    now_s = 1003.0
    assert not looking.is_over(), "6 s and 3 s, without a frame in between"
    now_s = 1005.0
    assert looking.is_over()
    assert looking.opened() == 5.0
    looking.succeeded()
    looking.begin("no answer")
    now_s = 1014.0
    assert not looking.is_over(), "frames came in between: it is another loss"


def test_a_camera_that_gives_one_frame_each_time_it_is_opened_is_not_taken_for_a_good_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench("lost_s=0.2", monkeypatch)
    with pytest.raises(CameraLost, match="it gave nothing new 3 times in a row"):
        for _ in range(100_000):
            bench.script.append(7)
            bench.ends(1)
    assert len(bench.devices) > 1


def test_a_camera_that_is_open_again_is_taken_however_late_anybody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software,lost_s=0.05", monkeypatch)
    bench.expect(0)
    bench.script.append(GONE)
    bench.ends(2)
    time.sleep(0.2)  # the reader was held up by a slow engine
    bench.ends(2)
    assert bench.codes() == LOST_AND_BACK


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
    assert bench.settled() == ["camera_lost", "unconfirmed_fields", "camera_back", "in_step"], (
        "pulses went on while the camera was away"
    )
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
