"""A real GigE Vision client against a fake camera of our own, in a network namespace."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.namespace import ScenePlayer, end_all, play, player

GONE_AND_BACK = ["camera_lost", "camera_back", "in_step"]
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """One for the scenes of this file, one after the other."""
    yield
    end_all()


@dataclass(frozen=True)
class Waiting:
    """Scenes that mostly wait, and how many fields those with a scanner have."""

    players: dict[str, ScenePlayer]
    n_scan: int
    n_cut: int

    def seen(self, scene: str, timeout_s: float = 50.0) -> Any:  # noqa: ANN401 - what the scene prints
        return self.players[scene].seen(timeout_s)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((120, 80, "8.5", "7"), id="short"),
        pytest.param((200, 150, "12", "10"), id="over the source_timeout_s that a run has by itself", marks=pytest.mark.soak),
    ],
)
def waiting(request: pytest.FixtureRequest) -> Iterator[Waiting]:
    """They are played at the same time, each in a network of its own."""
    n_scan, n_cut, cut_s, source_timeout_s = request.param
    scenes = {"hard_day": [str(n_scan)], "frozen_camera": [str(n_cut), cut_s, source_timeout_s], "dead_client": []}
    players = {scene: player() for scene in scenes}
    for scene, arguments in scenes.items():
        players[scene].begin(scene, *arguments)
    yield Waiting(players, n_scan, n_cut)
    for each in players.values():
        each.end()


def test_every_trigger_has_its_own_exposure_over_the_wrap_of_the_counter() -> None:
    seen = play("triggered", "150")
    assert [(frame["trigger"], frame["status"], frame["number"]) for frame in seen["frames"]] == [
        (f"t{index}", "ok", index) for index in range(150)
    ]
    assert [frame["id"] for frame in seen["frames"]] == list(range(65401, 65551)), "65535 is followed by 1, and unwrapped"
    statistics = seen["statistics"]
    assert (seen["size"], statistics["delivered"], statistics["lost"], statistics["underruns"]) == ([732, 574], 150, 0, 0)
    assert statistics["driver"]["completed"] == 150, "the driver has counted the same"
    assert seen["camera"]["exposure_us"] == "2000.0", "what was set is read back"


def test_lost_packets_are_incomplete_fields_and_shift_nothing() -> None:
    seen = play("lossy", "30", "0.5")
    by_status = {status: [frame for frame in seen["frames"] if frame["status"] == status] for status in ("ok", "incomplete")}
    assert len(by_status["ok"]) + len(by_status["incomplete"]) == len(seen["frames"]) == 30
    assert all(frame["trigger"] == f"t{frame['number']}" for frame in by_status["ok"])
    assert len(by_status["incomplete"]) == seen["statistics"]["incomplete"] > 0
    assert seen["statistics"]["driver"]["missing_packets"] > 0


@pytest.mark.parametrize(("n", "loss"), [(30, "200"), pytest.param(100, "50", marks=pytest.mark.soak)])
def test_a_frame_that_lost_the_packet_with_its_number_is_damaged_and_not_somebody_else_s(n: int, loss: str) -> None:
    seen = play("lossy", str(n), loss)
    assert [(frame["trigger"], frame["status"]) for frame in seen["frames"]] == [(f"t{at}", "incomplete") for at in range(n)]
    ids = [frame["id"] for frame in seen["frames"]]
    n_unknown = next(at for at, number in enumerate(ids) if number is not None)
    assert n_unknown < 6, "what the first ones were nobody knows while each of them has lost that packet"
    first = ids[n_unknown]
    assert ids[n_unknown:] == list(range(first, first + n - n_unknown))
    assert seen["notes"] == []


def test_a_camera_that_paces_itself_has_a_field_for_every_id() -> None:
    seen = play("free_running", "60")
    frames = seen["frames"]
    assert [frame["index"] for frame in frames] == list(range(60))
    assert [frame["id"] for frame in frames] == list(range(frames[0]["id"], frames[0]["id"] + 60))
    statuses = Counter(frame["status"] for frame in frames)
    assert statuses.keys() >= {"ok", "lost"}, "while nobody read, the driver had no buffers"
    assert statuses.total() - statuses["ok"] - statuses["lost"] == statuses["incomplete"] <= 1, "one was cut off by the pause"
    assert all(frame["number"] == frame["id"] - frames[0]["id"] + frames[0]["number"] for frame in frames if frame["number"])


def whole_edge(n: str, fields: str, timeout_s: float) -> Any:  # noqa: ANN401 - what the scene prints
    seen = play("whole_edge", n, fields, timeout_s=timeout_s)
    assert (seen["codes"], seen["problems"], seen["outcomes"]) == ([0, 0], [], {"stopped": 1})
    assert sum(seen["fields"].values()) == int(n)
    assert seen["n_counted"] == seen["source"]["delivered"] > 0.7 * int(n), seen["events"]
    assert seen["wrong"] == [], "each field has its own exposure's cells, with red and blue where they belong"
    assert seen["expected"], "else this shows nothing"
    assert (seen["camera"]["model"], seen["camera"]["trigger"]) == ("Fake", "software"), "run_start says what it was and did"
    # A machine that stands still for seconds loses the camera; then what was lost must be said.
    assert seen["n_counted"] == int(n) or seen["events"]
    return seen


@pytest.mark.parametrize(("fields", "n"), [("blobs", "100"), pytest.param("smears", "40", marks=pytest.mark.soak)])
def test_a_whole_edge_counts_what_a_scanner_triggers(fields: str, n: str) -> None:
    whole_edge(n, fields, 80.0)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fields", ["blobs", "smears"])
def test_a_whole_edge_counts_2000_fields(fields: str) -> None:
    seen = whole_edge("2000", fields, 1100.0)
    assert (seen["n_counted"], seen["cells"], seen["events"]) == (2000, seen["expected"], [])


def test_opening_waits_for_a_camera_that_a_dead_client_still_holds(waiting: Waiting) -> None:
    seen = waiting.seen("dead_client")
    assert [frame["status"] for frame in seen["frames"]] == ["ok"] * 3
    assert seen["waited_s"] > 0.5, "it was held, else this test shows nothing"


def test_a_scan_survives_the_death_of_its_camera_and_of_its_edge(waiting: Waiting) -> None:
    seen = waiting.seen("hard_day", 75.0)
    assert (seen["codes"], seen["problems"], seen["outcomes"]) == ([0, 0], [], {"interrupted": 1, "stopped": 1})
    assert [event for event in seen["events"][0] if event in GONE_AND_BACK] == GONE_AND_BACK
    first, second = seen["statuses"]
    assert first["lost"] >= 1, "what was triggered without a camera, or was open when the edge died, is lost"
    assert first.pop("incomplete", 0) <= 1, "the frame whose sending the death has cut short, if there was one"
    assert {"empty", "lost"} <= set(first) <= {"empty", "lost", "timeout"}, "no trigger in between is anything else"
    # A machine that stands still for a second loses a trigger or such a camera; it is on record, and the scan goes on.
    assert second["empty"] > sum(second.values()) / 2, (second, seen["events"][1])
    assert set(second) <= {"empty", "incomplete", "timeout", "lost"}


def test_a_scan_survives_a_link_that_is_cut_for_longer_than_a_run_waits_for_a_source(waiting: Waiting) -> None:
    seen = waiting.seen("frozen_camera", 80.0)
    assert (seen["codes"], seen["problems"], seen["outcomes"]) == ([0, 0], [], {"stopped": 1})
    of_its_one_picture = {"same_picture", "fields_bad", "scale_unchecked"}
    told = [event for event in seen["events"] if event not in {"camera_missing", *of_its_one_picture}]
    assert told == GONE_AND_BACK
    assert sum(seen["fields"].values()) == waiting.n_cut
    assert seen["fields"]["empty"] > 2 * waiting.n_cut / 3, (
        "no credit while the camera is gone: a scanner does not run through its slide"
    )
    # `incomplete` is the frame that was cut short with the link, and what such a camera sent too late on a busy machine.
    assert set(seen["fields"]) <= {"empty", "incomplete", "lost", "timeout"}


def test_a_soak_accounts_for_every_frame() -> None:
    seen = play("soak", "200")
    assert (seen["code"], seen["complete"], sum(seen["statuses"].values())) == (0, True, 200)
    # A machine that stands still loses a frame of this kind: then it has its sentence.
    assert seen["statuses"]["empty"] + sum(seen["losses"].values()) == 200
    assert (
        seen["source_statistics"]["delivered"] == seen["source_statistics"]["driver"]["completed"] == seen["statuses"]["empty"]
    )
    assert all(seen[name]["p50"] <= seen[name]["p99"] for name in ("trigger_to_frame_ms", "frame_to_record_ms", "age_ms"))


def test_settings_are_read_back_from_the_camera() -> None:
    seen = play("settings")
    expected = {"format": "BayerRG8", "exposure_us": "1500.0", "red": "1.5", "blue": "2.25", "width": "160", "height": "128"}
    assert {name: seen["camera"].get(name) for name in expected} == expected
    assert seen["camera"]["trigger"] == "Line0"
    assert seen["capabilities"] == {
        "hardware_trigger": True,
        "software_trigger": True,
        "timestamps": True,
        "chunk_data": False,
    }


def test_one_camera_says_how_it_is_set_and_what_it_can_do() -> None:
    seen = play("one_camera")
    free = seen["free"]
    assert (seen["codes"], free["width_px"], free["height_px"], free["paced_by"]) == ([0, 0], 160, 128, "itself")
    assert (free["settings"]["model"], free["capabilities"]["software_trigger"]) == ("Fake", True)
    assert (free["frame"]["status"], free["frame"]["detail"]) == ("ok", "")
    assert "paced by triggers" in seen["triggered"]
    assert "can: hardware trigger, software trigger, timestamps" in seen["triggered"]


def test_cameras_are_listed_as_a_run_names_them() -> None:
    seen = play("cameras")
    assert {"source": "aravis:127.0.0.1", "what": "Fake, serial number GV01, Aravis-Fake-GV01"} in seen["found"]
    code, out, said = seen["none"]
    assert (code, out) == (4, "[]") or "opencv:" in out, "this machine may have a camera of its own"
    assert "Traceback" not in said
