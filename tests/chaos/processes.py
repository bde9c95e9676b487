"""Both sides as processes that start in an instant and can be killed: a server that has imported all they need forks them."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from chaos.stand_ins import ChaosCamera, ChaosEngine
from leukostream.edge.commands.logs import set_up_logging
from leukostream.edge.commands.serve import serve_one_run
from leukostream.edge.commands.signals import stop_on_signals
from leukostream.edge.contracts.bundle import load_bundle
from leukostream.edge.contracts.errors import LeukoError
from leukostream.edge.pipeline import Opened, StopSwitch
from leukostream.edge.pipeline.work import plan_for
from leukostream.edge.scanner.notebook import Notebook
from leukostream.edge.scanner.plan import ScanPlan
from leukostream.edge.scanner.scan import Scanner
from leukostream.edge.settings import SHIPPED_BUNDLE, EdgeSettings, Setup

PLAN = ScanPlan(fields=60, window=16, patience_s=20.0, dead_after_s=0.6)


def context() -> ForkServerContext:
    """Where processes come from. The first one takes the time of the imports."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


def start_edge(forks: ForkServerContext, folder: Path, endpoint: str, seed: int) -> BaseProcess:
    return _started(forks, _edge, (folder, endpoint, seed))


def start_scanner(forks: ForkServerContext, folder: Path, endpoint: str, seed: int) -> BaseProcess:
    return _started(forks, _scanner, (folder, endpoint, seed))


def _started(forks: ForkServerContext, target: object, arguments: tuple[Path, str, int]) -> BaseProcess:
    process = forks.Process(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
    process.start()
    return process


def _edge(folder: Path, endpoint: str, seed: int) -> None:
    _log_to(folder / "edge.log")
    bundle = load_bundle(SHIPPED_BUNDLE)
    camera = ChaosCamera(bundle, seed)
    settings = EdgeSettings(
        source="chaos:",
        bind=endpoint,
        journal=folder / "journal.sqlite",
        trigger_window=8,
        trigger_timeout_s=0.3,
        ping_every_s=0.1,
        silent_after_s=0.6,
        ack_timeout_s=1.0,
        pause_after_records=24,
    )
    parts = Opened(camera, ChaosEngine(bundle), plan_for(camera.info, bundle))
    stop = StopSwitch()
    _ends(lambda: serve_one_run(Setup(settings, bundle), parts, stop), stop)


def _scanner(folder: Path, endpoint: str, seed: int) -> None:
    _log_to(folder / "scanner.log")
    plan = PLAN.model_copy(update={"seed": seed, "disconnect_every": 60.0, "stall_every": 80.0, "stall_s": 0.1})
    _ends(lambda: Scanner(endpoint, lambda: Notebook(folder / "notebook.jsonl"), plan).scan(), StopSwitch())


def _ends(work: object, stop: StopSwitch) -> None:
    with stop_on_signals(stop):
        try:
            work()  # type: ignore[operator]
        except LeukoError as problem:
            print(f"error ({problem.code}): {problem}", flush=True)
            sys.exit(problem.exit_code)


def _log_to(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    set_up_logging("info", None)
