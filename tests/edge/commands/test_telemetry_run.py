"""A run of the real `leuko-edge run` with both telemetry endpoints on: what they show is what its records say."""

import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import cv2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.bare_run import connected
from support.edge_here import leuko_edge
from support.ports import free_endpoint
from support.telemetry_bench import Subscriber
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.records import FieldRecord, RunStop

pytestmark = pytest.mark.timeout(60)
N_FIELDS = 12


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A run of fields with a lymphocyte and a platelet each, an empty one and one that is no image."""
    folder = tmp_path / "fields"
    folder.mkdir()
    for index in range(N_FIELDS - 1):
        cells = [("lymphocyte", 20, 20), ("platelet_giant", 100, 60)] if index else []
        cv2.imwrite(str(folder / f"{index:02d}.png"), blob_field(cells))
    (folder / "99.png").write_bytes(b"no image")
    bundle = write_tiny_bundle(tmp_path / "bundle")
    fixed = ("--um-per-px", "0.13", "--bundle", str(bundle.path), "--journal", str(tmp_path / "journal.sqlite"))
    return [sys.executable, "-m", "edge.cli", "run", "--source", str(folder), *fixed]


def test_dashboards_and_prometheus_see_the_run(command: list[str]) -> None:
    bind, telemetry, metrics = (free_endpoint() for _ in range(3))
    page = metrics.removeprefix("tcp://")
    ends = ("--bind", bind, "--telemetry", telemetry, "--metrics", page)
    process = subprocess.Popen([*command, *ends], stderr=subprocess.PIPE, text=True)
    try:
        with Subscriber(telemetry) as dashboard, connected(bind, process) as controller:
            waiting = dashboard.until(lambda live: live["sessions"] == 1)
            assert (waiting["phase"], waiting["run_id"], waiting["last_field"]) == ("waiting", None, None)
            run_id = controller.start_run()
            scraped: Counter[tuple[str, str]] = Counter()
            fields: list[FieldRecord] = []
            for record in controller.records(run_id):
                fields += [record] if isinstance(record, FieldRecord) else []
                if isinstance(record, RunStop):  # not acknowledged before the next turn: the edge is still there
                    with urllib.request.urlopen(f"http://{page}/metrics", timeout=10) as answer:
                        text = answer.read().decode()
                    for family in text_string_to_metric_families(text):
                        for sample in family.samples:
                            scraped[sample.name, ",".join(sample.labels.values())] += sample.value  # type: ignore[assignment]
            finished = dashboard.until(lambda live: live["phase"] == "finished" and live["lag"] == 0)
        assert process.wait(20) == 0
    finally:
        process.kill()
        _, said = process.communicate()
    assert f"live counts are published at {telemetry}" in said
    ended = Counter(field.status.value for field in fields)
    cells = sum((Counter(field.counts) for field in fields), Counter[str]())
    assert ended == {"ok": N_FIELDS - 2, "empty": 1, "failed": 1}
    assert {status: scraped["leukostream_fields_total", status] for status in ended} == ended
    assert {label: scraped["leukostream_cells_total", label] for label in cells} == cells
    timed = sum(field.times is not None for field in fields)
    assert scraped["leukostream_stage_seconds_count", "infer"] == scraped["leukostream_field_seconds_count", ""] == timed
    assert (finished["run_id"], finished["last_seq"]) == (run_id, N_FIELDS + 2), "one says that no red cell was seen"
    assert (finished["fields"], finished["cells"]) == (ended, cells)
    assert finished["last_field"]["field_index"] == fields[-1].field_index
    assert "OpenVINO" in finished["engine"]


def test_a_page_that_others_could_read_is_refused(command: list[str]) -> None:
    ends = ("--bind", free_endpoint(), "--metrics", "0.0.0.0:9570")
    done = leuko_edge(*command[command.index("run") :], *ends)
    assert done.code == 6
    (sentence,) = [line for line in done.err.splitlines() if line.startswith("error")]
    assert "put a proxy with authentication in front of it" in sentence
