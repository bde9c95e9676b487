"""What may be wrong with an instrument in the evening: each is a FAULT with a sentence, and each ends once it is mended.

Meanwhile the service is reached, refuses runs with that sentence, and delivers what was recorded before.
"""

import fcntl
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.full_disk import files_limited_to
from support.made_profiles import pixel_size, stage
from support.service_here import WITHIN_S, Bench, ServiceHere, service
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.bundle import MODEL
from edge.contracts.errors import EngineError, StreamError
from edge.contracts.messages import Accepted, RunStartCommand
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.contracts.records import FieldRecord, RunOutcome, RunStop
from edge.journal import sqlite_journal
from edge.journal.journal_file import reserve_of
from edge.service import fitness, station
from edge.settings.reachable import reachable
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(120)


def _refused_with(here: ServiceHere, words: str) -> None:
    """It stands in FAULT everywhere, and a run is refused with what is said there."""
    assert words in (here.until("FAULT", words).service_reason or "")
    status, content = here.page("/healthz")
    assert (status, content["state"]) == (200, "FAULT") and words in content["reason"]
    assert here.page("/readyz")[0] == 503
    with pytest.raises(StreamError, match=r"refused \(state\)") as refused:
        here.controller.start_run(timeout_s=WITHIN_S)
    assert words in str(refused.value)
    assert words in (here.controller.connect(WITHIN_S).service_reason or ""), "and in WELCOME"


def _whole(here: ServiceHere) -> str:
    """A run of two fields that ends as it should; its name."""
    here.until("READY")
    records = here.run(2)
    assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.STOPPED
    assert [record.status.value for record in records if isinstance(record, FieldRecord)] == ["ok", "ok"]
    return records[-1].run_id


def _still_read(here: ServiceHere, run_id: str) -> None:
    here.controller.connect(WITHIN_S)
    assert [record.seq for record in here.controller.records(run_id, from_seq=0)] == list(range(4))


# Camera and engine.


def test_no_camera_at_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({})
    bench.camera.unplugged = True
    with service(monkeypatch, bench) as here:
        _refused_with(here, "camera plain: is not there; check its cable and power.")
        bench.camera.unplugged = False
        _whole(here)


def test_the_camera_is_unplugged_between_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = _whole(here)
        here.bench.camera.unplugged = True
        _refused_with(here, "was lost (no answer) and is looked for")
        _still_read(here, before)
        here.bench.camera.unplugged = False
        _whole(here)
        assert here.bench.opened == 1, "the engine stayed as it was"


def test_the_camera_is_unplugged_in_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = _whole(here)
        run_id = here.controller.start_run(timeout_s=WITHIN_S)
        here.controller.trigger(run_id, "a", 0, timeout_s=WITHIN_S)
        list(zip(range(2), here.controller.records(run_id), strict=False))
        here.bench.camera.unplugged = True
        last = list(here.controller.records(run_id))[-1]
        assert isinstance(last, RunStop) and last.outcome is RunOutcome.FAILED and last.sums_match
        _refused_with(here, "camera plain")
        _still_read(here, before)
        here.bench.camera.unplugged = False
        _whole(here)


def test_an_engine_that_fails_between_runs_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        _whole(here)
        here.bench.wrong = EngineError("the GPU does not answer (fell off the bus); restart this machine.")
        here.bench.engine_wrong = True
        _refused_with(here, "fell off the bus")
        here.bench.wrong, here.bench.engine_wrong = None, False
        _whole(here)


# The journal.


@dataclass
class JournalCase:
    """`spoil` makes the journal at a path unusable, `mend` usable; `before` the service is there, or between two runs."""

    spoil: Callable[[Path], object]
    mend: Callable[[Path], object]
    words: str
    before: bool = True
    held: list[Any] = field(default_factory=list)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE patients (name)")
    connection.close()


def _taken_away(path: Path) -> None:
    shutil.move(path.parent, path.parent.with_name("away"))


def _held_by_another(path: Path) -> None:
    stream = path.with_name(f"{path.name}.lock").open("wb")
    fcntl.flock(stream, fcntl.LOCK_EX)
    _HELD.append(stream)


_HELD: list[Any] = []

JOURNALS = [
    pytest.param(
        JournalCase(lambda path: path.parent.write_text("a file"), lambda path: path.parent.unlink(), "cannot be opened"),
        id="its folder cannot be made",
    ),
    pytest.param(
        JournalCase(lambda path: path.mkdir(parents=True), Path.rmdir, "cannot be opened"), id="a folder has its name"
    ),
    pytest.param(
        JournalCase(lambda path: (path.parent.mkdir(), path.write_text("no database" * 99)), Path.unlink, "not a database"),
        id="another kind of file",
    ),
    pytest.param(
        JournalCase(lambda path: (path.parent.mkdir(), _other_database(path)), Path.unlink, "the database of another program"),
        id="another program's database",
    ),
    pytest.param(
        JournalCase(
            lambda path: (path.parent.mkdir(), _held_by_another(path)), lambda _: _HELD.pop().close(), "in use by another edge"
        ),
        id="another edge's",
    ),
    pytest.param(
        JournalCase(_taken_away, lambda _: None, "removed", before=False),
        id="taken away between runs",
    ),
]


@pytest.mark.parametrize("case", JOURNALS)
def test_a_journal_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: JournalCase) -> None:
    path = tmp_path / "state" / "j.sqlite"
    if case.before:
        case.spoil(path)
    with service(monkeypatch, journal=path) as here:
        if not case.before:
            _whole(here)
            case.spoil(path)
            until_s = time.monotonic() + WITHIN_S
            while not path.exists() and time.monotonic() < until_s:
                time.sleep(0.02)
            _whole(here)  # a new one was begun at once, and that is in the log
            return
        _refused_with(here, case.words)
        case.mend(path)
        _whole(here)


def test_who_has_records_is_not_told_that_they_are_unknown_while_there_is_no_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "state" / "j.sqlite"
    with service(monkeypatch, journal=path) as here:
        before = _whole(here)
    _held_by_another(path)
    with service(monkeypatch, journal=path) as here:
        here.until("FAULT", "in use by another edge")
        with pytest.raises(StreamError, match="in use by another edge"):
            here.controller.query(before, timeout_s=WITHIN_S)
        with pytest.raises(StreamError, match="in use by another edge"):
            here.controller.stop_run(before, timeout_s=WITHIN_S)
        _HELD.pop().close()
        here.until("READY")
        _still_read(here, before)


def _filled(here: ServiceHere) -> str:
    """A run that goes on until the disk is full; its name."""
    run_id = here.controller.start_run(timeout_s=WITHIN_S)
    with pytest.raises(StreamError, match="refused"):
        for index in range(2000):
            here.controller.trigger(run_id, f"t{index}", index, timeout_s=WITHIN_S)
            here.controller.poll(0.0)
    return run_id


def test_a_disk_that_is_full_ends_the_run_on_record_and_the_next_one_waits_for_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, really = tmp_path / "j.sqlite", sqlite_journal.write

    def write(*what: Any) -> None:  # noqa: ANN401 as it has them
        if full and reserve_of(path).exists():
            raise sqlite3.OperationalError("database or disk is full")
        really(*what)

    def room(_: Path) -> bool:
        return not full

    full: list[bool] = []
    monkeypatch.setattr(sqlite_journal, "write", write)
    monkeypatch.setattr(station, "has_room_again", room)
    with service(monkeypatch, journal=path) as here:
        before = _whole(here)
        full.append(True)
        run_id = _filled(here)
        here.controller.connect(WITHIN_S)
        last = list(here.controller.records(run_id, from_seq=0))[-1]
        assert isinstance(last, RunStop) and last.outcome is RunOutcome.FAILED and "no room for more records" in last.detail
        _refused_with(here, "no room for more records")
        _still_read(here, before)
        full.clear()
        _whole(here)
        _still_read(here, before)


def test_a_disk_that_has_no_room_even_for_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with service(monkeypatch, journal=path) as here:
        before = _whole(here)
        with files_limited_to(path.with_name("j.sqlite-wal").stat().st_size + 100_000):
            run_id = _filled(here)
        here.until("READY")
        here.controller.connect(WITHIN_S)
        records = list(here.controller.records(run_id, from_seq=0))
        assert [record.seq for record in records] == list(range(len(records))), "what was sent is there, and has its end"
        assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.INTERRUPTED
        _still_read(here, before)
        _whole(here)


def test_a_run_of_which_nothing_came_onto_record_is_unknown_and_may_be_ordered_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = _whole(here)
        order = RunStartCommand(cmd_id="c", run_id="r")
        with files_limited_to(1000):
            assert isinstance(here.controller.command(order, WITHIN_S), Accepted)
            _refused_with(here, "can no longer be written")
            _still_read(here, before)
        here.until("READY")
        with pytest.raises(StreamError, match="unknown_run"):
            here.controller.query("r", timeout_s=WITHIN_S)
        assert isinstance(here.controller.command(order, WITHIN_S), Accepted)
        here.controller.stop_run("r", timeout_s=WITHIN_S)
        assert isinstance(list(here.controller.records("r", from_seq=0))[-1], RunStop)


# Clock, configuration, bundle and profile: read from real files.


@dataclass
class Files:
    """A configuration, and all that it names."""

    folder: Path
    bundle: Path
    profile: Path
    config: Path

    def configure(self, **settings: object) -> None:
        known: dict[str, object] = {
            "source": f"folder:{self.folder / 'fields'}",
            "um_per_px": 0.13,
            "bundle": str(self.bundle),
            "journal": str(self.folder / "j.sqlite"),
            **settings,
        }
        lines = [f"{name} = {value if isinstance(value, float) else repr(str(value))}" for name, value in known.items()]
        self.config.write_text("\n".join(lines) + "\n")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "0.png"), blob_field([("lymphocyte", 40, 40)]))
    cv2.imwrite(str(tmp_path / "fields" / "1.png"), blob_field([("lymphocyte", 80, 40)]))
    write_tiny_bundle(tmp_path / "bundle")
    found = Files(tmp_path, tmp_path / "bundle", tmp_path / "profile.json", tmp_path / "edge.toml")
    found.configure()
    return found


def _profiled(files: Files, *, days: float = 30, width_px: int | None = None) -> None:
    height, width, _ = cv2.imread(str(files.folder / "fields" / "0.png")).shape
    camera = CameraGeometry(width_px=width_px or width, height_px=height)
    write_profile(files.profile, Profile(instrument="bench 3", camera=camera, pixel_size=pixel_size(), stage=stage(days=days)))


@dataclass
class FileCase:
    spoil: Callable[[Files, pytest.MonkeyPatch], object]
    mend: Callable[[Files, pytest.MonkeyPatch], object]
    words: str
    before: bool = True


def _damage(files: Files) -> None:
    with (files.bundle / MODEL).open("r+b") as stream:
        stream.seek(100)
        byte = stream.read(1)
        stream.seek(100)
        stream.write(bytes([byte[0] ^ 1]))


CASES = [
    pytest.param(
        FileCase(
            lambda _, patch: patch.setattr(fitness, "BUILT", "2999-01-01"),
            lambda _, patch: patch.setattr(fitness, "BUILT", "2026-01-01"),
            "set the clock of this machine",
        ),
        id="the clock shows a day before the release",
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(written_for="99.0"), lambda files, _: files.configure(), "written for"),
        id="a configuration of a newer version",
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(polciy="latest"), lambda files, _: files.configure(), "mean `policy`"),
        id="a typing slip in it",
    ),
    pytest.param(
        FileCase(lambda files, _: files.config.write_text("source = "), lambda files, _: files.configure(), "edge.toml"),
        id="half a file",
    ),
    pytest.param(
        FileCase(lambda files, _: files.config.unlink(), lambda files, _: files.configure(), "cannot be read"), id="no file"
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(engine="tensorrt"), lambda files, _: files.configure(), "engine"),
        id="an engine for a GPU that is not here",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (_profiled(files, days=-1), files.configure(profile=files.profile)),
            lambda files, _: _profiled(files),
            "should have been measured anew by",
        ),
        id="an expired profile",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (_profiled(files, width_px=640), files.configure(profile=files.profile)),
            lambda files, _: _profiled(files),
            "was measured on frames of 640",
        ),
        id="another camera's profile",
    ),
    pytest.param(
        FileCase(lambda files, _: _damage(files), lambda files, _: _damage(files), "is damaged"), id="a bundle that is damaged"
    ),
    pytest.param(
        FileCase(lambda files, _: _damage(files), lambda files, _: _damage(files), "is damaged", before=False),
        id="a bundle that is damaged between runs",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (files.folder / "fields").rename(files.folder / "away"),
            lambda files, _: (files.folder / "away").rename(files.folder / "fields"),
            "fields",
        ),
        id="no folder of fields",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_from_files(monkeypatch: pytest.MonkeyPatch, files: Files, case: FileCase) -> None:
    def started() -> Any:  # noqa: ANN401 a context manager
        bench = Bench({})
        return service(
            monkeypatch,
            bench,
            real=lambda stated: (lambda: resolve(stated, files.config), lambda: reachable(stated, files.config)),
        )

    if case.before:
        case.spoil(files, monkeypatch)
    with started() as here:
        if not case.before:
            here.until("READY")
            case.spoil(files, monkeypatch)
        _refused_with(here, case.words)
        case.mend(files, monkeypatch)
        here.until("READY")
        records = list(here.controller.records(here.controller.start_run(timeout_s=WITHIN_S)))
        assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.COMPLETED
