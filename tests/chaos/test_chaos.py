"""A short chaos, and the proof that its accounts would show what it looks for."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chaos.accounts import Account, account
from chaos.chaos_plan import WEIGHTS, ChaosPlan, Fault, plan_of
from chaos.processes import JOURNAL, NOTEBOOK, context
from chaos.scans import Scan, perform, scans

SEEDS = [1008, 1037, 1038, 1078, 1106, 1175, 1260, 1295, 1316, 1378]
"""Between them every kind of fault at least twice, and a cable in each place."""
MORE_SEEDS = list(range(1000, 1020))
Line = dict[str, Any]
Lines = list[Line]


@pytest.fixture(scope="module")
def performed(tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    return list(scans(SEEDS, tmp_path_factory.mktemp("chaos"), keep=True))


@pytest.mark.timeout(240)
def test_nothing_is_lost_reordered_or_counted_twice(performed: list[Scan]) -> None:
    _check_scans(performed)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_nothing_is_lost_in_more_scans(tmp_path: Path) -> None:
    _check_scans(list(scans(MORE_SEEDS, tmp_path)))


def _check_scans(performed: list[Scan]) -> None:
    assert [f"seed {scan.seed}: {problem}" for scan in performed for problem in scan.account.problems] == []
    for name in ("lost", "invented", "reordered", "twice", "counted_twice"):
        assert sum(getattr(scan.account, name) for scan in performed) == 0, name
    injected: Counter[str] = sum((scan.injected for scan in performed), Counter())
    for fault in (*WEIGHTS, "record twice", "ACK twice", "TRIGGER twice"):
        assert injected[fault], f"no scan of this test had the fault {fault!r}: it would prove nothing about it"
    assert sum(scan.account.interrupted for scan in performed), "an edge was killed in mid-run"
    assert sum(scan.resent for scan in performed), "records crossed the wire twice"


@pytest.mark.parametrize(
    ("broken", "shows"),
    [
        pytest.param("forgetful edge", "what the scanner holds is not what the journal holds", id="sent before it is on disk"),
        pytest.param("double scanner", "records are missing or out of order", id="a record counted twice"),
    ],
)
@pytest.mark.timeout(60)
def test_a_broken_side_is_found_out(tmp_path: Path, broken: str, shows: str) -> None:
    faults = (Fault("edge killed", 0.3, 0.0), Fault("edge killed", 0.3, 0.0))
    plan = ChaosPlan(7, 40, 8, 4, 1, 10_000, 0.002, 0.0, "without a relay", 0.0, faults, broken)  # type: ignore[arg-type]
    found = perform(context(), plan, tmp_path / "scan", patience_s=1.0).account
    assert any(shows in problem for problem in found.problems), found.problems
    assert (found.invented if broken == "forgetful edge" else found.twice) > 0


def _fields(lines: Lines) -> list[int]:
    return [at for at, line in enumerate(lines) if line.get("record", {}).get("type") == "field"]


def _seq(lines: Lines, at: int) -> int:
    """Its place in its run; a run that follows begins anew."""
    return int(str(lines[at]["record"]["seq"]))


def _forget(lines: Lines) -> None:
    del lines[_fields(lines)[5]]


def _repeat(lines: Lines) -> None:
    at = next(at for at in _fields(lines) if lines[at]["record"]["counts"])
    lines.insert(at, lines[at])


def _swap(lines: Lines) -> None:
    one, two = next(pair for pair in pairwise(_fields(lines)) if _seq(lines, pair[1]) == _seq(lines, pair[0]) + 1)
    lines[one], lines[two] = lines[two], lines[one]


def _count_more(lines: Lines) -> None:
    at = next(at for at in _fields(lines) if lines[at]["record"]["counts"])
    lines[at]["record"]["counts"] = {"lymphocyte": 99}


def _never_pulse(lines: Lines) -> None:
    del lines[next(at for at, line in enumerate(lines) if "pulse" in line)]


def _announce_one_more(lines: Lines) -> None:
    at = next(at for at, line in enumerate(lines) if "announce" in line)
    lines[at:at] = [{"announce": "t-x", "cmd": "x", "field": 0}, {"pulse": "t-x"}]


def _forget_a_run(lines: Lines) -> None:
    last = max(at for at, line in enumerate(lines) if "run" in line)
    assert last, "this scan had several runs"
    del lines[:last]


@pytest.fixture
def spoilt(performed: list[Scan], tmp_path: Path) -> Path:
    """A copy of what a scan of several runs has left, whose first run came farthest before its edge was killed."""
    chosen = max((scan for scan in performed if scan.account.interrupted), key=lambda scan: _held(scan.folder))
    shutil.copytree(chosen.folder, tmp_path / str(chosen.seed))
    return tmp_path / str(chosen.seed)


def _held(folder: Path) -> int:
    with closing(sqlite3.connect(folder / JOURNAL)) as connection:
        return int(connection.execute("SELECT count(*) FROM records WHERE run = 0").fetchone()[0])


def _account_of(folder: Path) -> Account:
    return account(folder, plan_of(int(folder.name)))


Shows = Callable[[Account], object]


@pytest.mark.parametrize(
    ("spoil", "shows"),
    [
        pytest.param(_forget, lambda found: found.lost == 1, id="a record that was lost"),
        pytest.param(_repeat, lambda found: found.twice == found.counted_twice == 1, id="a record that was taken twice"),
        pytest.param(_swap, lambda found: found.reordered == 1, id="records in another order"),
        pytest.param(_count_more, lambda found: "has {'lymphocyte': 99}, shown was" in str(found.problems), id="cells more"),
        pytest.param(_never_pulse, lambda found: "never answered" in str(found.problems), id="no answer to a trigger"),
        pytest.param(_announce_one_more, lambda found: "t-x has 0 fields" in str(found.problems), id="no end of a trigger"),
        pytest.param(_forget_a_run, lambda found: "the scanner does not know it" in str(found.problems), id="a run of nobody"),
    ],
)
def test_what_is_wrong_with_a_notebook_shows(spoilt: Path, spoil: Callable[[Lines], None], shows: Shows) -> None:
    notebook = spoilt / NOTEBOOK
    lines = [json.loads(line) for line in notebook.read_text().splitlines()]
    spoil(lines)
    notebook.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = _account_of(spoilt)
    assert found.problems
    assert shows(found), found


@pytest.mark.parametrize(
    ("statement", "shows"),
    [
        pytest.param(
            "DELETE FROM records WHERE run = 0 AND seq = 3",
            lambda found: found.invented == 1 and "records 3 to 3 are missing" in str(found.problems),
            id="a record is gone",
        ),
        pytest.param(
            'UPDATE records SET content = replace(content, \'"wall_time":"2\', \'"wall_time":"1\') WHERE run = 0',
            lambda found: "is not what was written" in str(found.problems),
            id="records were changed",
        ),
        pytest.param(
            "INSERT INTO triggers SELECT run, 't-x', 999, command, 1 FROM triggers WHERE run = 0 LIMIT 1",
            lambda found: "trigger t-x was announced and has 0 fields" in str(found.problems),
            id="a trigger never ended",
        ),
    ],
)
def test_what_is_wrong_with_a_journal_shows(spoilt: Path, statement: str, shows: Shows) -> None:
    with closing(sqlite3.connect(spoilt / JOURNAL)) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    found = _account_of(spoilt)
    assert shows(found), found


def test_a_seed_always_gives_the_same_plan() -> None:
    assert plan_of(7) == plan_of(7) != plan_of(8)
