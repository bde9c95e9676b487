"""A short chaos, and the proof that its accounts would show what it looks for."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.accounts import account
from chaos.driver import Scan, scans
from chaos.processes import PLAN

SEEDS = list(range(1000, 1020))


@pytest.fixture(scope="module")
def performed(tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    return list(scans(SEEDS, tmp_path_factory.mktemp("chaos"), keep=True))


@pytest.mark.timeout(240)
def test_nothing_is_lost_reordered_or_counted_twice(performed: list[Scan]) -> None:
    problems = [f"seed {scan.seed}: {problem}" for scan in performed for problem in scan.account.problems]
    assert problems == []
    assert sum(scan.account.lost + scan.account.reordered + scan.account.twice for scan in performed) == 0
    injected: Counter[str] = sum((scan.injected for scan in performed), Counter())
    for fault in ("edge killed", "scanner killed", "cut", "half-open", "delay", "slow reader", "twice to the edge"):
        assert injected[fault], f"no scan of this test had the fault {fault!r}: it would prove nothing about it"
    assert sum(scan.account.interrupted for scan in performed), "an edge was killed in mid-run"


Lines = list[dict[str, dict[str, object]]]


def _of_fields(lines: Lines) -> list[int]:
    return [at for at, line in enumerate(lines) if line.get("record", {}).get("type") == "field"]


def _forget(lines: Lines) -> None:
    del lines[_of_fields(lines)[5]]


def _repeat(lines: Lines) -> None:
    at = _of_fields(lines)[5]
    lines.insert(at, lines[at])


def _swap(lines: Lines) -> None:
    one, two = _of_fields(lines)[5:7]
    lines[one], lines[two] = lines[two], lines[one]


def _count_more(lines: Lines) -> None:
    at = next(at for at in _of_fields(lines) if lines[at]["record"]["status"] == "ok")
    lines[at]["record"]["counts"] = {"lymphocyte": 2}


def _never_pulse(lines: Lines) -> None:
    del lines[next(at for at, line in enumerate(lines) if "pulse" in line)]


def _announce_one_more(lines: Lines) -> None:
    at = next(at for at, line in enumerate(lines) if "announce" in line)
    lines[at:at] = [json.loads('{"announce": "t-x", "cmd": "x", "field": 0}'), json.loads('{"pulse": "t-x"}')]


@pytest.mark.parametrize(
    ("spoil", "shows"),
    [
        pytest.param(_forget, lambda found: found.lost == 1, id="a record that was lost"),
        pytest.param(_repeat, lambda found: found.twice == 1, id="a record that was taken twice"),
        pytest.param(_swap, lambda found: found.reordered == 1, id="records in another order"),
        pytest.param(
            _count_more, lambda found: any("has {'lymphocyte': 2}" in each for each in found.problems), id="a cell more"
        ),
        pytest.param(_never_pulse, lambda found: any("never answered" in each for each in found.problems), id="no answer"),
        pytest.param(
            _announce_one_more, lambda found: any("t-x has 0 fields" in each for each in found.problems), id="no field"
        ),
    ],
)
def test_the_accounts_show_what_went_wrong(
    performed: list[Scan], tmp_path: Path, spoil: Callable[[Lines], None], shows: Callable[[object], bool]
) -> None:
    shutil.copytree(performed[0].folder, tmp_path, dirs_exist_ok=True)
    notebook = tmp_path / "notebook.jsonl"
    lines = [json.loads(line) for line in notebook.read_text().splitlines()]
    spoil(lines)
    notebook.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = account(tmp_path, PLAN.fields)
    assert found.problems
    assert shows(found)
