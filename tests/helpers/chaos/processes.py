"""Both sides as processes that start in an instant and can be killed: a server that has imported all they need forks them."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from chaos.broken import DoubleNotebook, break_journal
from chaos.chaos_plan import ChaosPlan
from chaos.faulty_camera import BUNDLE, FaultyCamera, MadeUpEngine
from chaos.letter_controller import GivenUp, LetterController, LetterPlan
from chaos.letter_socket import LetterKeys
from edge.contracts.errors import LeukoError
from edge.pipeline import Parts, StopSwitch
from edge.pipeline.field_work import plan_for
from edge.scanner.notebook import Notebook
from edge.scanner.scan_plan import ScanPlan
from edge.scanner.scanner import Scanner
from edge.service.process import set_up_logging
from edge.service.serve import serve_one_run
from edge.settings import EdgeSettings, Setup
from edge.stream.curve_keys import EDGE, PUBLIC, SECRET, AllowList, new_pair

_IMPORTED_BY = os.getpid()
JOURNAL, NOTEBOOK = "journal.sqlite", "notebook.jsonl"
KEYS, LETTER = "keys", "letter"
EDGE_LOG, SCANNER_LOG = "edge.log", "scanner.log"
_ANSWER_S = 0.3
_ASKED = threading.Lock()
"""Who starts a process asks after all of them; of two that ask at once one reads the exit code, the other makes one up."""
SILENT_S = 0.5
"""Not heard for so long, either side looks for the other anew."""


def context() -> ForkServerContext:
    """Where processes come from, with all imports done. Raises `RuntimeError` when they are not."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    # The server takes its path from here; what it cannot import it leaves out without a word.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [before])])
    try:
        first = found.Process(target=_be_ready)
        first.start()
        first.join()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    if first.exitcode != 0:
        raise RuntimeError("the fork server has not imported what both sides need: each would take a second to start.")
    return found


def _be_ready() -> None:
    sys.exit(os.getpid() == _IMPORTED_BY)


def start_edge(forks: ForkServerContext, plan: ChaosPlan, folder: Path, endpoint: str, boot: int) -> BaseProcess:
    """The `boot`-th edge process of the scan."""
    return _started(forks, _edge, plan, folder, endpoint, boot)


def start_scanner(forks: ForkServerContext, plan: ChaosPlan, folder: Path, endpoint: str, patience_s: float) -> BaseProcess:
    """A scanner that gives up after `patience_s` without any progress."""
    scans = {"own": _scanner, "letter": _letter_scanner, "cpp": _cpp_scanner}
    return _started(forks, scans[plan.controller], plan, folder, endpoint, patience_s)


def _started(forks: ForkServerContext, target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = forks.Process(target=target, args=arguments, daemon=True)
    with _ASKED:
        process.start()
    return process


def exit_code(process: BaseProcess) -> int | None:
    """None while it runs."""
    with _ASKED:
        return process.exitcode


def end(process: BaseProcess) -> None:
    """It is gone when this returns."""
    process.kill()
    with _ASKED:
        process.join()


def _edge(plan: ChaosPlan, folder: Path, endpoint: str, boot: int) -> None:
    _log_to(folder / EDGE_LOG)
    camera = FaultyCamera(plan, boot)
    settings = EdgeSettings(
        source="chaos:",
        bind=endpoint,
        journal=folder / JOURNAL,
        max_batch=plan.max_batch,
        trigger_window=plan.trigger_window,
        trigger_timeout_s=0.15,
        pause_after_records=plan.pause_after_records,
        ping_every_s=SILENT_S / 5,
        silent_after_s=SILENT_S,
        ack_timeout_s=1.0,
    )
    if plan.keys:
        settings = settings.model_copy(update={"keys": folder / KEYS})
    if plan.broken == "forgetful edge":
        break_journal()
    parts = Parts(camera, MadeUpEngine(plan.max_batch), plan_for(camera.info, BUNDLE))
    _ends(lambda: serve_one_run(Setup(settings, BUNDLE), parts, StopSwitch()).exit_code)


def _scanner(plan: ChaosPlan, folder: Path, endpoint: str, patience_s: float) -> None:
    _log_to(folder / SCANNER_LOG)
    asked = ScanPlan(fields=plan.fields, window=plan.window, patience_s=patience_s, dead_after_s=SILENT_S)

    def scan() -> int:
        kind = DoubleNotebook if plan.broken == "double scanner" else Notebook
        Scanner(endpoint, lambda: kind(folder / NOTEBOOK), asked).scan()
        return 0

    _ends(scan)


def _letter_scanner(plan: ChaosPlan, folder: Path, endpoint: str, patience_s: float) -> None:
    _log_to(folder / SCANNER_LOG)
    asked = LetterPlan(
        plan.seed,
        plan.fields,
        plan.window,
        plan.encodings,
        patience_s,
        SILENT_S,
        burst_gap_s=plan.burst_gap_s,
        retakes=plan.retakes,
        pauses=plan.pauses,
    )
    keys = LetterKeys(folder / f"{LETTER}{SECRET}", folder / KEYS / f"{EDGE}{PUBLIC}") if plan.keys else None
    try:
        LetterController(endpoint, folder / NOTEBOOK, asked, keys).scan()
    except GivenUp as problem:
        print(f"given up: {problem}", flush=True)
        sys.exit(6)


def _cpp_scanner(plan: ChaosPlan, folder: Path, endpoint: str, patience_s: float) -> None:
    """Becomes another program: examples/cpp, whose notebook has the form of the letter's."""
    _log_to(folder / SCANNER_LOG)
    ms = {"--dead-after-ms": SILENT_S, "--ping-every-ms": SILENT_S / 5, "--search-ms": patience_s}
    ms |= {"--answer-ms": 2 * _ANSWER_S, "--retry-ms": _ANSWER_S}
    words = ["--fields", str(plan.fields), "--window", str(plan.window), "--encoding", plan.encodings[0]]
    words += [word for name, seconds in ms.items() for word in (name, f"{seconds * 1000:.0f}")]
    if plan.keys:
        words += ["--key", str(folder / f"{LETTER}{SECRET}"), "--edge-key", str(folder / KEYS / f"{EDGE}{PUBLIC}")]
    os.execv(plan.program, [plan.program, endpoint, str(folder / NOTEBOOK), *words])


def make_keys(folder: Path) -> None:
    """An edge's and a scanner's, and the edge knows the scanner."""
    (folder / KEYS).mkdir()
    new_pair(folder / KEYS, EDGE)
    public, _ = new_pair(folder, LETTER)
    AllowList(folder / KEYS).allow(public)


def _ends(work: Callable[[], int]) -> None:
    try:
        sys.exit(work())
    except LeukoError as problem:
        print(f"error ({problem.code}): {problem}", flush=True)
        sys.exit(problem.exit_code)


def _log_to(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    set_up_logging("info", None)
