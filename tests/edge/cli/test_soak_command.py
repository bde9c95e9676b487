"""`leuko-edge soak`: every field is accounted for by cause, and the loop is held against a bare client."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.tiny_bundle import write_tiny_bundle

from leukostream.edge.cli import main
from leukostream.edge.commands.soak import table

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


def test_a_source_that_ends_cannot_be_read_in_rounds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = soak(capsys, monkeypatch, "--source", "virtual:seed=1", "--rounds", "1")
    assert code == 2
    assert "ends by itself and cannot be read in rounds; leave --rounds out." in err
