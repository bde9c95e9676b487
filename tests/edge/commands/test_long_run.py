"""Runs long enough to show a leak."""

import subprocess
import sys

import psutil
import pytest
from support.bare_run import connected
from support.ports import free_endpoint

from edge.contracts.records import FieldRecord, RunStop

GROWTH_BYTES = 30_000_000
MAX_RSS_BYTES = 400_000_000


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(100, id="short", marks=pytest.mark.timeout(60)),
        pytest.param(5000, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_the_edges_memory_stays_where_it_is_and_below_its_budget(fields: int) -> None:
    endpoint = free_endpoint()
    source = f"virtual:seed=3,fields={fields},wbc=1.5,variants=4"
    command = [sys.executable, "-m", "edge.cli", "run", "--source", source, "--bind", endpoint]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            with connected(endpoint, process) as controller:
                early = late = 0
                for record in controller.records(controller.start_run()):
                    if isinstance(record, FieldRecord):
                        rss = psutil.Process(process.pid).memory_info().rss
                        early = max(early, rss) if record.field_index < fields // 3 else early
                        late = rss
            assert isinstance(record, RunStop) and record.triggers == fields
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert late - early < GROWTH_BYTES
    assert max(early, late) < MAX_RSS_BYTES
