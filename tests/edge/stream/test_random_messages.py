"""Random messages at the live socket: whatever comes, from strangers and from within a session, the run is unharmed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.attackers import ATTACKERS, UNREADABLE
from support.scripted_run import StartEdge

from edge.stream.client import Controller
from edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(120)
HELPERS = Path(__file__).parents[2] / "helpers"
UNLIMITED = StreamSettings(messages_per_s=1e9, strangers_per_s=1e9)
_MB = 2**20


def attack(endpoint: str, n_each: int, seed: int, waits: bool) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "support.attackers", endpoint, str(n_each), str(seed), "waits" if waits else ""]
    return subprocess.Popen(command, cwd=HELPERS, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("n", "settings"),
    [
        pytest.param(20_000, UNLIMITED, id="20,000 that are all decoded"),
        pytest.param(100_000, UNLIMITED, id="100,000 that are all decoded", marks=pytest.mark.soak),
        pytest.param(10_000, StreamSettings(), id="10,000 against the limits of every edge"),
        pytest.param(4_000, StreamSettings(messages_per_s=200, strangers_per_s=100), id="4,000 against low limits"),
    ],
)
def test_the_run_is_unharmed(start_edge: StartEdge, n: int, settings: StreamSettings) -> None:
    unlimited = settings == UNLIMITED
    edge = start_edge(n_fields=10**6, hold=True, settings=settings)
    seqs, after_mb, attackers = list[int](), list[float](), list[dict[str, Any]]()
    with Controller(edge.endpoint, client_id="scanner", settings=ClientSettings(dead_after_s=30)) as controller:
        controller.connect()
        run_id = controller.start_run()
        for wave in range(2):
            with attack(edge.endpoint, n // len(ATTACKERS) // 2, wave, unlimited) as process:
                while process.poll() is None:
                    edge.run.go.release()
                    record = controller.poll(0.01)
                    seqs += [record.seq] if record else []
                assert process.stdout is not None and process.returncode == 0
                attackers += json.loads(process.stdout.read())
            after_mb.append(psutil.Process().memory_info().rss / _MB)
        controller.stop_run(run_id)
        during, seqs = len(seqs), seqs + [record.seq for record in controller.records()]
        assert seqs == list(range(edge.journal.next_seq(run_id)))
        assert controller.query().runs[-1].finished
    assert during > 20, "the run was in progress meanwhile"
    assert after_mb[1] - after_mb[0] < 30, "what has been refused takes no memory"
    rejects = edge.server.rejects
    unreadable, refused = sum(each["unreadable"] for each in attackers), sum(rejects[code] for code in UNREADABLE)
    assert refused <= unreadable <= refused + rejects["rate"], "each was refused, or fell to the limit"
    if unlimited:
        assert (refused, rejects["rate"]) == (unreadable, 0), "every one was read"
        assert all(0 < each["told"] <= each["unreadable"] for each in attackers if each["who"] != "anyone"), "it is told"
        assert all(rejects[code] for code in (*UNREADABLE, "state", "protocol", "encoding", "busy", "unknown_run"))
    assert rejects["rate"] or settings.messages_per_s > 200
    assert edge.server.alive
