"""A whole run of announced triggers over a real engine: whatever the camera does, each trigger ends once and the sums match."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stand_ins import frame_of
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo, SourceTimeout, Trigger
from edge.camera.frame_store import FrameStore, StoredFrames
from edge.contracts.bundle import Bundle
from edge.contracts.errors import SourceError
from edge.contracts.messages import RunStartCommand, TriggerCommand
from edge.contracts.records import Event, FieldRecord, FieldStatus, Record, RunOutcome, RunStop
from edge.counting.places import Places
from edge.engine.base import Engine
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, engine_for
from edge.pipeline import records_of as turned
from edge.pipeline.field_work import FieldJob, plan_for
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_account import RunAccount
from edge.pipeline.trigger_desk import TriggerDesk
from edge.postprocess import Findings
from edge.settings import EdgeSettings, Setup

pytestmark = pytest.mark.timeout(40)
IMAGE = blob_field([("lymphocyte", 40, 40)])
INFO = SourceInfo("scripted:", IMAGE.shape[1], IMAGE.shape[0], 0.13, None, self_paced=False, exposures_at_once=2)
ENDS = {"ok": "ok", "lost": "lost", "incomplete": "incomplete", "silent": None, "twice": "ok", "stray": "ok"}
"""What the camera does at an exposure, and the status it ends with; None: `lost` or `timeout`, as the next frame comes."""


class Camera(SourceBase):
    """Exposes at once, as its script says; raises or hangs where it is told to."""

    def __init__(self, script: list[str], breaks_at: int | None = None, hang: threading.Event | None = None) -> None:
        super().__init__()
        self.info = INFO
        self._script = script
        self._frames: deque[Frame] = deque()
        self._breaks_at, self._hang = breaks_at, hang

    def expect(self, trigger: Trigger) -> None:
        index = trigger.field_index
        if index == self._breaks_at:
            if self._hang is not None:
                self._hang.wait(30)
            raise SourceError("the camera was unplugged; plug it in.")
        what = self._script[index]
        if what in {"ok", "twice", "stray"}:
            frame = frame_of(index, image=IMAGE)
            self._frames += [frame] * (1 + (what == "twice")) + ([frame_of(999, image=IMAGE)] if what == "stray" else [])
        elif what in {"lost", "incomplete"}:
            self._frames.append(frame_of(index, status="lost" if what == "lost" else "incomplete"))

    def give_up(self, trigger_id: str) -> None:
        pass

    def read(self, timeout_s: float) -> Frame:
        if self._frames:
            return self._frames.popleft()
        time.sleep(min(timeout_s, 0.002))
        raise SourceTimeout("nothing")

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("triggered") / "bundle")


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[Engine]:
    engine, _ = engine_for(INFO, bundle, EdgeSettings(source="scripted:", max_batch=2, precision="f32"))
    yield engine
    engine.close()


def perform(
    bundle: Bundle, engine: Engine, camera: Camera, n: int, frames: FrameStore | None = None, **more: object
) -> list[Record]:
    """Announce `n` triggers, ask for the stop at once, and return what was recorded."""
    journal, stop = MemoryJournal(), StopSwitch()
    desk = TriggerDesk(journal, window=n)
    given = {"source": "scripted:", "trigger_timeout_s": 0.05, "source_timeout_s": 0.5, **more}
    setup = Setup(EdgeSettings.model_validate(given), bundle)
    order = RunStartCommand(cmd_id="c", run_id="r")
    records: list[Record] = []
    for record in turned(Run(setup, Parts(camera, engine, plan_for(INFO, bundle), frames), order, stop, desk)):
        journal.append(record)
        if not records:
            for index in range(n):
                desk.announce(TriggerCommand(cmd_id=f"c{index}", run_id="r", trigger_id=f"t{index}", field_index=index))
            threading.Timer(0.02, stop.stop, ("RUN_STOP",)).start()
        records.append(record)
    assert journal.open_triggers("r") == []
    return records


def check_account(records: list[Record], n: int) -> tuple[RunStop, list[FieldRecord]]:
    stop, fields = records[-1], [record for record in records if isinstance(record, FieldRecord)]
    assert isinstance(stop, RunStop)
    assert [record.seq for record in records] == list(range(len(records)))
    assert [field.trigger_id for field in fields] == [f"t{index}" for index in range(n)], "once each, in order"
    assert (stop.triggers, stop.sums_match, stop.fields) == (n, True, dict(Counter(field.status for field in fields)))
    assert stop.cells.get("lymphocyte", 0) == sum(field.status is FieldStatus.OK for field in fields)
    return stop, fields


@settings(max_examples=12)
@given(st.lists(st.sampled_from(sorted(ENDS)), min_size=1, max_size=8))
def test_any_camera_adds_up_and_a_stop_lets_accepted_triggers_end(bundle: Bundle, engine: Engine, script: list[str]) -> None:
    records = perform(bundle, engine, Camera(script), len(script))
    stop, fields = check_account(records, len(script))
    assert (stop.outcome, stop.detail) == (RunOutcome.STOPPED, "RUN_STOP")
    for index, (what, field) in enumerate(zip(script, fields, strict=True)):
        # After a stop one silence ends all: those that were not exposed by then are not exposed any more.
        cut = {"skipped"} if "silent" in script[:index] else set[str]()
        assert field.status.value in ({"lost", "timeout"} if ENDS[what] is None else {ENDS[what]}) | cut
        assert bool(field.detail) is (field.status not in {FieldStatus.OK, FieldStatus.EMPTY})
    notes = Counter(record.code for record in records if isinstance(record, Event))
    assert notes.total() == notes["unannounced_frame"] == script.count("twice") + script.count("stray")


def test_a_recording_of_a_triggered_run_is_what_became_of_its_triggers(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    script = ["ok", "silent", "stray", "incomplete", "twice", "ok"]
    store = FrameStore(tmp_path / "kept", INFO, 100.0)
    _, fields = check_account(perform(bundle, engine, Camera(script), len(script), store), len(script))
    store.close()
    played = StoredFrames(str(tmp_path / "kept"), None)
    frames = [played.read(0.1) for _ in range(len(script))]
    with pytest.raises(SourceEnded):
        played.read(0.1)
    assert [frame.trigger_id for frame in frames] == [field.trigger_id for field in fields]
    counted = {FieldStatus.OK, FieldStatus.EMPTY}
    assert [frame.status for frame in frames] == ["ok" if field.status in counted else field.status.value for field in fields]


def test_a_camera_that_dies_loses_its_open_triggers_and_says_so(bundle: Bundle, engine: Engine) -> None:
    stop, fields = check_account(perform(bundle, engine, Camera(["ok"] * 5, breaks_at=2), 5), 5)
    assert (stop.outcome, stop.detail) == (RunOutcome.FAILED, "the camera was unplugged; plug it in.")
    assert [field.status.value for field in fields[2:]] == ["lost", "skipped", "skipped"], "exposed, and not yet exposed"


def test_a_driver_that_never_returns_does_not_hang_the_run(bundle: Bundle, engine: Engine) -> None:
    hang = threading.Event()
    try:
        stop, fields = check_account(perform(bundle, engine, Camera(["ok"] * 4, breaks_at=1, hang=hang), 4), 4)
    finally:
        hang.set()
    assert stop.outcome is RunOutcome.FAILED
    assert "the source gave nothing for 0.55 s" in stop.detail
    assert {field.status.value for field in fields[1:]} == {"lost", "skipped"}


@pytest.mark.parametrize("times", [1, 3], ids=["once", "again while it is settled"])
def test_a_run_that_breaks_off_gives_every_accepted_trigger_its_end(
    bundle: Bundle, engine: Engine, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A field of which no record can be made was counted nowhere, and ends as failed; those behind it, too."""
    whole, broken = RunAccount.field, [0]

    def breaks(account: RunAccount, job: FieldJob) -> FieldRecord:
        if job.frame.trigger_id == "t1" and broken[0] < times and job.status is FieldStatus.OK:
            broken[0] += 1
            raise RuntimeError("scripted")
        return whole(account, job)

    monkeypatch.setattr(RunAccount, "field", breaks)
    stop, fields = check_account(perform(bundle, engine, Camera(["ok"] * 5), 5), 5)
    assert (stop.outcome, "scripted" in stop.detail) == (RunOutcome.FAILED, True)
    assert fields[0].status is FieldStatus.OK
    assert {field.status for field in fields[1:]} <= {FieldStatus.FAILED, FieldStatus.SKIPPED, FieldStatus.OK}
    assert fields[1].status is FieldStatus.FAILED


def test_a_record_that_cannot_be_made_leaves_the_sums_as_they_were() -> None:
    ledger = Ledger()
    account = RunAccount("r", ledger, Places())
    for index in (0, 1):
        ledger.issue(f"t{index}", index)
    job = FieldJob(frame_of(0, image=IMAGE))
    job.findings, job.status = Findings((), {"lymphocyte": 1}, overflow=False), FieldStatus.OK
    job.frame = replace(job.frame, um_per_px=float("nan"))  # what no record may hold
    with pytest.raises(ValueError, match="finite"):
        account.field(job)
    assert (ledger.open, ledger.ended()) == (2, {})
    job.frame = replace(job.frame, um_per_px=0.13)
    first = account.field(job)
    assert (first.seq, first.running.cells) == (0, {"lymphocyte": 1})
    with pytest.raises(ValueError, match="not open"):
        account.field(job)
    stop = account.stop(RunOutcome.COMPLETED, "", None)
    assert (stop.outcome, stop.sums_match) == (RunOutcome.FAILED, False)
    assert "2 triggers were issued but 1 have a field on record" in stop.detail
