"""`leuko-edge bench-stream`: what it measures is whole and in order, memory is bounded, verdicts follow from the figures."""

import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from edge.bench import memory
from edge.bench.bare_peers import check_room, filesystem_of
from edge.bench.memory import MemoryTrace, MemoryUse
from edge.bench.stream_bench import measure_sustained
from edge.bench.stream_reader import Reader, Reading
from edge.bench.stream_report import GOALS, MEMORY_FROM_RECORDS, Latency, Singles, Sustained, summary, table
from edge.bench.substitutes import EMPTY_SHARE, StandInRun
from edge.cli import main
from edge.commands.bench_stream import bench_stream
from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord, Record

pytestmark = pytest.mark.timeout(40)

TIMES = Latency(p50_ms=1.0, p99_ms=2.0, max_ms=3.0)
FLAT = MemoryUse(first_quarter_mb=100.0, end_mb=101.0, peak_mb=102.0, growth_bytes_per_record=1.0)
SINGLES = Singles("full", "json", 100, TIMES, bare_sync_p50_ms=0.75, bare_sync_p99_ms=1.5, bare_hop_p50_ms=0.25, pause_ms=5.0)
BATCHES = Sustained("full", "json", 20_000, 5000.0, TIMES, FLAT, FLAT, journal_mb=30.0)


def run_of(n_fields: int) -> list[Record]:
    run = StandInRun(RunStartCommand(cmd_id="c", run_id="r"), n_fields)
    return [run.start(), *(run.field() for _ in range(n_fields)), run.stop()]


@pytest.mark.parametrize(
    ("records", "growth_bytes_per_record"),
    [
        # A record is some 900 bytes of JSON and several times that as an object: a process that holds records shows.
        pytest.param(20_000, 300, id="short"),
        pytest.param(1_000_000, 20, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
    ],
)
def test_records_arrive_whole_and_in_order_and_are_not_held(
    records: int, growth_bytes_per_record: float, tmp_path: Path
) -> None:
    passed = Counter[str]()
    found = measure_sustained(tmp_path, "full", "json", records, lambda n: passed.update(records=n))
    assert passed["records"] == found.records == records
    for use in (found.edge_memory, found.client_memory):
        assert use.growth_bytes_per_record < growth_bytes_per_record
        assert use.peak_mb < use.first_quarter_mb + 50, "whatever this process held before"
    assert found.journal_mb * 1e6 > 900 * records, "a journal keeps what was acknowledged"
    assert list(tmp_path.iterdir()) == []


def gap(records: list[Record]) -> None:
    del records[3]


def twice(records: list[Record]) -> None:
    records.insert(3, records[2])


def two_changed_places(records: list[Record]) -> None:
    records[3], records[4] = records[4], records[3]


def another_field(records: list[Record]) -> None:
    records[3] = records[3].model_copy(update={"field_index": 7})


def a_cell_that_was_not_counted(records: list[Record]) -> None:
    records[3] = records[3].model_copy(update={"counts": {"blast": 1}})


def an_early_end(records: list[Record]) -> None:
    records[3] = records[-1].model_copy(update={"seq": 3})


def other_sums(records: list[Record]) -> None:
    records[-1] = records[-1].model_copy(update={"triggers": 5})


@pytest.mark.parametrize(
    "damage", [gap, twice, two_changed_places, another_field, a_cell_that_was_not_counted, an_early_end, other_sums]
)
def test_the_reading_process_finds_what_is_wrong(damage: Callable[[list[Record]], None]) -> None:
    records = run_of(6)
    whole, damaged = Reading(6), Reading(6)
    for record in records:
        whole.take(record, 0)
    assert whole.ended
    damage(records)
    with pytest.raises(StreamError, match="report this as a defect of the edge"):
        for record in records:
            damaged.take(record, 0)


def test_fields_are_as_empty_as_said_and_differ() -> None:
    fields = [record for record in run_of(2000) if isinstance(record, FieldRecord)]
    assert sum(field.status == "empty" for field in fields) / len(fields) == pytest.approx(EMPTY_SHARE, abs=0.05)
    assert {len(field.detections) for field in fields} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("held", "growth"),
    [
        pytest.param(lambda n: 10_000_000, 0.0, id="the same all the time"),
        pytest.param(lambda n: 10_000_000 + 900 * n, 900.0, id="every record is held"),
        pytest.param(lambda n: 10_000_000 + 900 * min(n, 200), 0.0, id="grows while it warms up"),
    ],
)
def test_growth_is_told_from_warming_up(monkeypatch: pytest.MonkeyPatch, held: Callable[[int], int], growth: float) -> None:
    samples = count(5, 5)
    monkeypatch.setattr(memory, "resident_bytes", lambda: held(next(samples)))
    trace = MemoryTrace(1000)
    for n in range(1, 1001):
        trace.passed(n)
    assert trace.use().growth_bytes_per_record == pytest.approx(growth, abs=1e-6)
    assert trace.use().peak_mb == held(1000) / 1e6


@pytest.mark.parametrize(
    ("singles", "batches", "goals"),
    [
        pytest.param({}, {}, {"single_over_sync_ms": True, "records_per_s": True, "memory_growth_mb": True}, id="all kept"),
        pytest.param({"bare_sync_p50_ms": 0.25}, {}, {"single_over_sync_ms": False}, id="0.75 ms over a sync"),
        pytest.param({}, {"records_per_s": 1999.0}, {"records_per_s": False}, id="slower than asked"),
        pytest.param({}, {"client_memory": replace(FLAT, end_mb=106.0)}, {"memory_growth_mb": False}, id="the client grows"),
        pytest.param({}, {"edge_memory": replace(FLAT, end_mb=106.0)}, {"memory_growth_mb": False}, id="the edge grows"),
        pytest.param({}, {"records": 19_999}, {"memory_growth_mb": None}, id="too few to judge memory"),
    ],
)
def test_the_worst_row_decides(singles: dict[str, Any], batches: dict[str, Any], goals: dict[str, bool | None]) -> None:
    worst = summary(Path("/disk"), "ext4", [SINGLES, replace(SINGLES, **singles)], [BATCHES, replace(BATCHES, **batches)])
    assert {name: worst["goals"].get(name) for name in goals} == goals
    said = table(worst)
    assert all(name in said for name in GOALS)
    assert ("MISSED" in said) is (False in worst["goals"].values())
    assert ("not judged" in said) is (None in goals.values())
    assert "lies in memory" not in said


def test_what_the_command_sends_by_itself_is_enough_to_judge_its_memory() -> None:
    assert inspect.signature(bench_stream).parameters["records"].default == MEMORY_FROM_RECORDS


def test_a_folder_in_memory_is_named_as_such() -> None:
    assert "lies in memory" in table(summary(Path("/dev/shm"), "tmpfs", [SINGLES], [BATCHES]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which file system a folder has")
def test_the_file_system_of_a_folder_is_told() -> None:
    assert filesystem_of(Path("/proc/self")) == "proc"
    if Path("/dev/shm").is_mount():
        assert filesystem_of(Path("/dev/shm")) == "tmpfs"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["leuko-edge", "bench-stream", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_json_has_every_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--records", "1000", "--singles", "10", "--durability", "normal", "--encoding", "msgpack"]
    assert command(monkeypatch, "--dir", str(tmp_path), "--json", *small) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["goals"].keys() == {"single_over_sync_ms", "records_per_s"}
    (single,), (batch,) = figures["singles"], figures["batches"]
    assert [single[key] for key in ("durability", "encoding", "records")] == ["normal", "msgpack", 10]
    assert [batch[key] for key in ("durability", "encoding", "records")] == ["normal", "msgpack", 1000]
    for row in (single, batch):
        assert 0 < row["latency"]["p50_ms"] <= row["latency"]["p99_ms"] <= row["latency"]["max_ms"]
    assert figures["single_over_sync_ms"] == single["latency"]["p50_ms"] - single["bare_sync_p50_ms"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "--dir", str(tmp_path / "none")) == 2
    assert "make it, or give another with --dir" in capsys.readouterr().err


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(ConfigError, match="give fewer with --records"):
        check_room(tmp_path, 10**12)


def test_what_the_reading_process_dies_of_is_passed_on(tmp_path: Path) -> None:
    with Reader("nowhere", "json", 10, tmp_path / "stamps") as reader, pytest.raises(StreamError, match="is not an address"):
        reader.result()
