"""A service that is killed, hangs or crashes in each of its states is started again as a whole, and the next slide works.

Whatever its supervisor is: it is told by systemd's protocol here, and ends by itself where nobody listens.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.ports import free_endpoint
from support.supervised_edge import Supervisor

from edge.contracts.errors import StreamError
from edge.contracts.records import RunStop
from edge.journal.archive import Archive
from edge.stream.client import Controller

pytestmark = pytest.mark.timeout(240)
WITHIN_S = 90.0


def kill(number: int) -> Callable[[Supervisor], None]:
    def send(supervisor: Supervisor) -> None:
        assert supervisor.process is not None
        os.kill(supervisor.process.pid, number)

    return send


def order(place: str, how: str) -> Callable[[Supervisor], None]:
    return lambda supervisor: supervisor.order(place, how)


def until_ready(endpoint: str, boot_id: str | None) -> tuple[Controller, str]:
    """A controller of a process with another boot id that takes runs, and that id."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        controller = Controller(endpoint, client_id="scanner")
        try:
            welcome = controller.connect(timeout_s=2.0)
            if welcome.boot_id != boot_id and controller.query(timeout_s=5.0).service_state == "READY":
                return controller, welcome.boot_id
        except StreamError:
            pass
        controller.close()
        time.sleep(0.1)
    raise AssertionError("no service came back")


def run(controller: Controller, n_fields: int) -> RunStop:
    run_id = controller.start_run(timeout_s=30.0)
    for index in range(n_fields):
        controller.trigger(run_id, f"{run_id}-{index}", index, timeout_s=30.0)
    controller.stop_run(run_id, timeout_s=30.0)
    last = list(controller.records(run_id))[-1]
    assert isinstance(last, RunStop)
    return last


CASES = [
    pytest.param("RUNNING", kill(signal.SIGKILL), id="killed in a run", marks=pytest.mark.soak),
    pytest.param("RUNNING", order("engine", "hang"), id="the engine hangs in a run"),
    pytest.param("READY", kill(signal.SIGKILL), id="killed while ready", marks=pytest.mark.soak),
    pytest.param("READY", kill(signal.SIGSTOP), id="frozen while ready", marks=pytest.mark.soak),
    pytest.param("READY", kill(signal.SIGSEGV), id="crashed while ready", marks=pytest.mark.soak),
    pytest.param("READY", order("idle", "hang"), id="hangs while ready", marks=pytest.mark.soak),
    pytest.param("READY", order("stream", "hang"), id="its stream hangs while ready", marks=pytest.mark.soak),
    pytest.param("RUNNING", kill(signal.SIGSTOP), id="frozen in a run", marks=pytest.mark.soak),
    pytest.param("RUNNING", order("engine", "hold"), id="a driver holds the interpreter in a run", marks=pytest.mark.soak),
    pytest.param("RUNNING", order("engine", "abort"), id="a library aborts in a run", marks=pytest.mark.soak),
    pytest.param("RUNNING", order("camera", "hang"), id="the camera's driver hangs in a run", marks=pytest.mark.soak),
    pytest.param("RUNNING", order("stream", "hang"), id="its stream hangs in a run", marks=pytest.mark.soak),
    pytest.param("BOOT", order("opening", "hang"), id="hangs while it opens", marks=pytest.mark.soak),
    pytest.param("BOOT", order("opening", "abort"), id="crashes while it opens", marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("state", "harm"), CASES)
def test_after_whatever_happens_the_run_is_on_record_and_the_next_slide_works(
    state: str, harm: Callable[[Supervisor], None], tmp_path: Path
) -> None:
    endpoint = free_endpoint()
    supervisor = Supervisor(tmp_path, endpoint)
    if state == "BOOT":
        harm(supervisor)
    with supervisor:
        boot_id, cut_off = None, None
        if state != "BOOT":
            controller, boot_id = until_ready(endpoint, None)
            with closing(controller):
                assert run(controller, 2).triggers == 2
                if state == "RUNNING":
                    cut_off = controller.start_run(timeout_s=30.0)
                    controller.trigger(cut_off, f"{cut_off}-0", 0, timeout_s=30.0)  # from then on the run is on the disk
                harm(supervisor)
                if cut_off is not None:
                    _try_a_field(controller, cut_off)
        controller, _ = until_ready(endpoint, boot_id)
        with closing(controller):
            last = run(controller, 3)
        assert (last.triggers, last.sums_match) == (3, True)
        assert supervisor.starts == 2, supervisor.log.read_text()[-3000:]
    with closing(Archive(supervisor.journal)) as archive:
        runs = {each.run_id: each for each in archive.runs()}
        assert [archive.problem(each) for each in runs.values()] == [""] * len(runs)
        if cut_off is not None:
            end = json.loads(archive.first_and_last(runs[cut_off])[1])
            assert end["type"] == "run_stop" and end["outcome"] in {"interrupted", "failed"} and end["sums_match"]


def _try_a_field(controller: Controller, run_id: str) -> None:
    """What is to happen in a run happens at a field at the latest; the process may be gone before it answers."""
    try:
        controller.trigger(run_id, f"{run_id}-1", 1, timeout_s=3.0)
    except StreamError:
        return
