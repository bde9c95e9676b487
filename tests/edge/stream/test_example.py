"""The example controller is read by firmware engineers as the protocol's shortest explanation, so it has to work."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.scripted_run import StartEdge

CONTROLLER = Path(__file__).parents[3] / "examples" / "controller.py"

pytestmark = pytest.mark.timeout(30)


def test_the_example_performs_a_whole_run(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=150)
    done = subprocess.run(
        [sys.executable, str(CONTROLLER), edge.endpoint], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 151
    assert lines[149].startswith("149 ok")
    assert lines[150].startswith("completed")
    edge.server.close(drain_s=5)
    (run_id,) = edge.journal.runs()
    assert edge.journal.acknowledged(run_id) == 151
