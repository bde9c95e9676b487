"""`leuko-edge soak`: every field is accounted for by cause, and the loop is held against a bare client."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.tiny_bundle import write_tiny_bundle

from edge.bench import camera_soak as soak_module
from edge.bench.camera_soak_report import Rates, table
from edge.camera import uri
from edge.camera.frame import Frame, SourceInfo, SourceNote, SourceTimeout, Trigger
from edge.camera.virtual import VirtualCamera
from edge.cli import main
from edge.contracts.errors import JournalError, SourceError, StreamError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import FieldRecord, Record
from edge.journal.sqlite_journal import SqliteJournal

pytestmark = pytest.mark.timeout(60)
TRIGGERED = "virtual:trigger=software,width=160,height=128,rbc=1,variants=1,fields=500"


def soak(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["leuko-edge", "soak", "--stand-in", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("source", "fields", "statuses", "cause"),
    [
        pytest.param(TRIGGERED, 40, {"empty": 40}, None, id="all goes well"),
        pytest.param(f"{TRIGGERED},lose_every=4", 40, {"empty": 30, "lost": 10}, "lost: the virtual camera", id="lost frames"),
        pytest.param(
            f"{TRIGGERED},silent_every=20", 40, {"empty": 38, "timeout": 2}, "timeout: no frame", id="silent triggers"
        ),
        pytest.param("virtual:fields=12,width=160,height=128", 30, {"empty": 12}, None, id="a source that ends before"),
        pytest.param("virtual:fields=90,width=160,height=128", 30, {"empty": 30}, None, id="a source that paces itself"),
    ],
)
def test_every_field_has_its_end_and_every_loss_its_cause(
    source: str,
    fields: int,
    statuses: dict[str, int],
    cause: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny").path
    options = ["--bundle", str(bundle), "--source", source, "--fields", str(fields), "--trigger-timeout-s", "0.2", "--json"]
    code, out, _ = soak(capsys, monkeypatch, *options)
    result = json.loads(out)
    assert (code, result["complete"], result["statuses"]) == (0, True, statuses)
    assert sum(result["losses"].values()) == sum(statuses.values()) - statuses["empty"]
    assert all(name.startswith(cause or "nothing may be lost") for name in result["losses"])
    assert result["source_statistics"]["delivered"] == statuses["empty"]
    assert "stand-in that finds nothing" in result["engine"]
    assert f"{sum(statuses.values())} fields" in table(result)


def test_the_loop_is_held_against_a_bare_client(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny").path
    options = ["--bundle", str(bundle), "--source", TRIGGERED, "--fields", "10", "--rounds", "2", "--round-fields", "10"]
    code, out, _ = soak(capsys, monkeypatch, *options, "--json")
    rates: dict[str, Any] = json.loads(out)["against_bare"]
    assert (code, len(rates["bare_per_s"]), len(rates["loop_per_s"])) == (0, 2, 2), "the first round of each does not count"
    assert rates["ratio"] > 0
    assert (rates["loop_lost"], rates["bare_lost"]) == (0, 0)


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    return ["--bundle", str(write_tiny_bundle(tmp_path / "tiny").path), "--source", TRIGGERED, "--trigger-timeout-s", "0.05"]


def test_a_source_that_ends_cannot_be_read_in_rounds(
    tiny: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = soak(capsys, monkeypatch, *tiny, "--source", "virtual:width=160,height=128", "--rounds", "1")
    assert code == 2
    assert "ends by itself and cannot be read in rounds; leave --rounds out." in err


class FailingJournal(SqliteJournal):
    """Refuses as `how` says once three triggers are in it."""

    how = ""
    said = ""

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        if self.how == "refuses" and command.field_index >= 3:
            raise JournalError("scripted: the disk is full.")
        super().announce(command, done)
        if self.how == "troubled" and command.field_index == 2:
            self.said = "scripted: the disk is nearly full."

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        if self.how == "unreadable" and trigger_id == "t3":
            raise StreamError("scripted: the journal cannot be read.")
        return super().announced(run_id, trigger_id)

    def append(self, record: Record) -> None:
        if self.how == "broken" and isinstance(record, FieldRecord) and record.field_index >= 2:
            raise JournalError("scripted: the disk is gone.")
        if self.how != "broken" or record.type != "run_stop":
            super().append(record)

    @property
    def trouble(self) -> str:
        return self.said or super().trouble


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param("refuses", "scripted: the disk is full.", id="it takes no trigger"),
        pytest.param("troubled", "scripted: the disk is nearly full.", id="it is in trouble"),
        pytest.param("unreadable", "scripted: the journal cannot be read.", id="it cannot be read"),
        pytest.param("broken", "scripted: the disk is gone.", id="it takes no record"),
    ],
)
def test_a_journal_that_refuses_ends_the_run_and_says_why(
    tiny: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    monkeypatch.setattr(FailingJournal, "how", how)
    monkeypatch.setattr(soak_module, "SqliteJournal", FailingJournal)
    code, out, _ = soak(capsys, monkeypatch, *tiny, "--fields", "40")
    assert code == 1
    assert f"run failed: {reason}" in out


class Camera(VirtualCamera):
    """Says and counts what soak does with it; from the exposure `breaks_at` on it is broken."""

    exposures_at_once = 1
    breaks_at = 10**6
    given_up: list[str]
    notes_at_start: list[int]

    def __init__(self, uri_tail: str, um_per_px: float | None) -> None:
        super().__init__(uri_tail, um_per_px)
        type(self).given_up, type(self).notes_at_start = [], []

    @property
    def info(self) -> SourceInfo:
        return replace(super().info, exposures_at_once=self.exposures_at_once)

    def start(self) -> None:
        super().start()
        self.notes_at_start.append(len(self._notes))

    def expect(self, trigger: Trigger) -> None:
        if self._exposures >= self.breaks_at:
            raise SourceError("scripted: the camera is broken.")
        super().expect(trigger)

    def read(self, timeout_s: float) -> Frame:
        try:
            return super().read(timeout_s)
        except SourceTimeout:
            self._closed.wait(min(timeout_s, 0.01))
            raise

    def give_up(self, trigger_id: str) -> None:
        self.given_up.append(trigger_id)
        self._notes.append(SourceNote("out_of_step", "scripted: a trigger had no frame.", "warning"))


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> type[Camera]:
    monkeypatch.setitem(uri.SCALE_FREE, "virtual", Camera)
    return Camera


@pytest.mark.parametrize(
    ("faults", "bare_lost", "given_up"),
    [
        pytest.param("silent_every=5", 2, 4, id="triggers without a frame"),
        pytest.param("lose_every=5", 2, 0, id="frames that are lost, by the camera's word"),
        pytest.param("extra_every=5", 0, 0, id="frames that nobody asked for"),
    ],
)
def test_a_trigger_without_a_frame_ends_no_round(
    tiny: list[str],
    camera: type[Camera],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    faults: str,
    bare_lost: int,
    given_up: int,
) -> None:
    options = ["--source", f"{TRIGGERED},{faults}", "--fields", "10", "--rounds", "1", "--round-fields", "10", "--json"]
    code, out, _ = soak(capsys, monkeypatch, *tiny, *options)
    result = json.loads(out)
    assert (code, result["rounds_ended_early"]) == (0, "")
    assert result["against_bare"]["bare_lost"] == bare_lost
    assert len(result["against_bare"]["bare_per_s"]) == 1
    assert len([name for name in camera.given_up if name.startswith("bare-")]) == given_up
    assert camera.notes_at_start == [0] * 5, "what the bare client's rounds made it say is no event of the next run"


def test_a_camera_that_breaks_in_the_rounds_costs_only_them(
    tiny: list[str], camera: type[Camera], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "breaks_at", 55)
    options = ["--fields", "10", "--rounds", "3", "--round-fields", "10"]
    code, out, _ = soak(capsys, monkeypatch, *tiny, *options)
    assert code == 1
    assert "10 fields" in out
    assert "medians of 1 rounds in turn" in out
    assert "the rounds ended early: scripted: the camera is broken." in out


@pytest.mark.parametrize(
    ("at_once", "faults", "code", "warns", "says"),
    [
        pytest.param(256, "silent_every=1", 1, True, "check that the scanner pulses its trigger line", id="nobody pulses"),
        pytest.param(256, "silent_every=2", 0, True, "2 empty", id="somebody pulses"),
        pytest.param(1, "silent_every=1", 1, False, "NOT ONE whole frame came; `leuko-edge", id="by software, and silent"),
        pytest.param(1, "damage_every=1", 1, False, "NOT ONE whole frame came; `leuko-edge", id="all are damaged"),
        pytest.param(1, "noise=1", 0, False, "nothing was lost", id="by software"),
    ],
)
def test_a_camera_on_a_line_is_fired_by_the_scanner(
    tiny: list[str],
    camera: type[Camera],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    faults: str,
    code: int,
    warns: bool,
    says: str,
) -> None:
    monkeypatch.setattr(camera, "exposures_at_once", at_once)
    ended, out, err = soak(capsys, monkeypatch, *tiny, "--source", f"{TRIGGERED},{faults}", "--fields", "4")
    assert ended == code
    assert says in out
    assert (err.count("the scanner must pulse the trigger line of virtual:") == 1) is warns
    assert ("NOT ONE" in out) is bool(code)


@pytest.mark.parametrize(
    ("loop_per_s", "options", "code", "kept"),
    [
        pytest.param(99.0, [], 0, True, id="kept"),
        pytest.param(50.0, [], 0, False, id="missed"),
        pytest.param(99.0, ["--strict"], 0, True, id="kept and strict"),
        pytest.param(50.0, ["--strict"], 1, False, id="missed and strict"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_missed_goal_can_be_seen_by_a_script(
    tiny: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    loop_per_s: float,
    options: list[str],
    code: int,
    kept: bool,
    as_json: bool,
) -> None:
    monkeypatch.setattr(soak_module, "against_bare", lambda *_: Rates([100.0], [loop_per_s]))
    options = [*options, "--fields", "4", "--rounds", "1", *["--json"] * as_json]
    ended, out, _ = soak(capsys, monkeypatch, *tiny, *options)
    assert ended == code
    if as_json:
        assert json.loads(out)["goals"] == {"ratio": kept}
    else:
        assert f"goal >= 0.95: {'kept' if kept else 'MISSED'}" in out


def test_strict_without_rounds_would_judge_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = soak(capsys, monkeypatch, "--source", "virtual:seed=1", "--strict")
    assert code == 2
    assert "there are none; give --rounds, or leave --strict out." in err
