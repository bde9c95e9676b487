"""Performs scans in which everything goes wrong, and accounts for each of them."""

import os
import random
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path

from support.duplicating_relay import RECORDS, DuplicatingRelay
from support.fault_proxy import FaultProxy

from chaos.accounts import Account, account
from chaos.chaos_plan import ChaosPlan, Fault, WhoScans, plan_of
from chaos.processes import EDGE_LOG, NOTEBOOK, SCANNER_LOG, context, end, exit_code, make_keys, start_edge, start_scanner

DEADLINE_S = 60.0
PATIENCE_S = 20.0
_STILL_S = 0.4
"""A fault does not wait for progress any longer than that: there may be none before it."""
_BYTES_PER_FIELD = 1500
"""About what a field takes in the notebook: announcement, pulse and record."""


@dataclass
class Scan:
    """One scan: what was done to it, and what came out. `resent` counts records that the edge sent again and a relay saw."""

    seed: int
    folder: Path
    injected: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    seconds: float = 0.0
    account: Account = field(default_factory=Account)
    controller: WhoScans = "own"


def scans(
    seeds: list[int],
    folder: Path,
    at_once: int = 3,
    keep: bool = False,
    controller: Callable[[int], WhoScans] = lambda seed: "own",
    program: Path | None = None,
) -> Iterator[Scan]:
    """Perform one scan for each seed, by the controller for that seed, several at a time.

    What a scan without problems leaves is deleted, unless `keep`.
    """
    forks = context()
    with ThreadPoolExecutor(at_once) as pool:
        for scan in pool.map(
            lambda seed: perform(
                forks, replace(plan_of(seed, controller(seed)), program=str(program or "")), folder / str(seed)
            ),
            seeds,
        ):
            if not keep and not scan.account.problems:
                shutil.rmtree(scan.folder)
            yield scan


def perform(forks: ForkServerContext, plan: ChaosPlan, folder: Path, patience_s: float = PATIENCE_S) -> Scan:
    """One scan to its end, or to its deadline, which is a problem like any other."""
    folder.mkdir(parents=True)
    if plan.keys:
        make_keys(folder)
    scan, began_s = Scan(plan.seed, folder, controller=plan.controller), time.monotonic()
    edge_at = _address_of_its_own(plan.seed)
    with ExitStack() as held:
        near, cable, relay = _between(plan, edge_at, held)
        sides = _Sides(forks, plan, folder, (f"tcp://{edge_at[0]}:{edge_at[1]}", near), patience_s)
        held.callback(sides.end)
        for fault in plan.faults:
            sides.watch(lambda progress=sides.progress + fault.progress: sides.progress >= progress, _STILL_S)
            sides.watch(lambda: False, fault.late_s)
            if sides.over:
                break
            scan.injected[fault.kind] += 1
            _inject(fault, sides, cable, random.Random(f"{plan.seed} {fault}"))
        sides.watch(lambda: False, DEADLINE_S - (time.monotonic() - began_s))
        if relay is not None:
            scan.resent = relay.resent
            for kind, count in relay.duplicated.items():
                scan.injected[f"{'record' if kind in RECORDS else kind} twice"] += count
    scan.account = account(folder, plan)
    scan.account.problems += sides.problems + _defects(folder)
    scan.seconds = time.monotonic() - began_s
    return scan


def _between(plan: ChaosPlan, edge_at: tuple[str, int], held: ExitStack) -> tuple[str, FaultProxy, DuplicatingRelay | None]:
    """Cable and relay on the way to the edge; returns where the scanner connects, too."""
    if plan.cable == "before the relay":
        relay = held.enter_context(DuplicatingRelay(f"tcp://{edge_at[0]}:{edge_at[1]}", plan.duplicated, plan.seed))
        cable = held.enter_context(FaultProxy(relay.address, plan.seed))
        return cable.endpoint, cable, relay
    cable = held.enter_context(FaultProxy(edge_at, plan.seed))
    if plan.cable == "without a relay":
        return cable.endpoint, cable, None
    relay = held.enter_context(DuplicatingRelay(cable.endpoint, plan.duplicated, plan.seed))
    return f"tcp://{relay.address[0]}:{relay.address[1]}", cable, relay


class _Sides:
    """Edge and scanner, each started again when it has ended before the scan is complete."""

    def __init__(self, forks: ForkServerContext, plan: ChaosPlan, folder: Path, at: tuple[str, str], patience_s: float) -> None:
        self.problems: list[str] = []
        self._folder = folder
        self._whole = plan.fields * _BYTES_PER_FIELD
        self._boots = 0
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._start_edge = lambda: start_edge(forks, plan, folder, at[0], self._boots)
        self._start_scanner = lambda: start_scanner(forks, plan, folder, at[1], patience_s)
        self._edge, self._scanner = self._start_edge(), self._start_scanner()
        self.over = False

    @property
    def progress(self) -> float:
        """How much of the scan the scanner has noted, about."""
        notebook = self._folder / NOTEBOOK
        return notebook.stat().st_size / self._whole if notebook.exists() else 0.0

    def watch(self, enough: Callable[[], bool], for_s: float) -> None:
        """Start again what has ended, until it is enough, the time has passed, or the scan is over."""
        until_s = time.monotonic() + for_s
        while not self.over and not enough() and (left_s := until_s - time.monotonic()) > 0:
            wait([self._edge.sentinel, self._scanner.sentinel], min(left_s, 0.005))
            for due_s, action in [each for each in self._later if each[0] <= time.monotonic()]:
                self._later.remove((due_s, action))
                action()
            self._replace()

    def later(self, after_s: float, action: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + after_s, action))

    def kill_edge(self) -> None:
        end(self._edge)
        self._boots += 1
        self._edge = self._start_edge()

    def kill_scanner(self) -> None:
        end(self._scanner)
        self._scanner = self._start_scanner()

    def kill_both(self) -> None:
        self._scanner.kill()  # at once with the other
        self.kill_edge()
        self.kill_scanner()

    def end(self) -> None:
        """The scan is over, or nobody waits for it any longer."""
        if not self.over:
            self.problems.append(f"the scan was not complete after {DEADLINE_S:g} s")
        for process in (self._edge, self._scanner):
            end(process)

    def _replace(self) -> None:
        if (scanner_code := exit_code(self._scanner)) is not None:
            self.over = True
            if scanner_code != 0:
                self.problems.append(f"the scanner gave up with exit code {scanner_code}")
        elif (edge_code := exit_code(self._edge)) is not None:
            if edge_code not in {0, 6}:  # 6: the scanner was away when the run ended; the records are kept
                self.problems.append(f"an edge ended with exit code {edge_code}")
            self.kill_edge()


def _inject(fault: Fault, sides: _Sides, cable: FaultProxy, draw: random.Random) -> None:
    ways = {"up", "down"} if fault.direction == "both" else {fault.direction}
    match fault.kind:
        case "edge killed":
            sides.kill_edge()
        case "scanner killed":
            sides.kill_scanner()
        case "both killed":
            sides.kill_both()
        case "cut (FIN)" | "cut (RST)":
            cable.cut(reset=fault.kind == "cut (RST)")
        case "delay":
            cable.impair(latency_s=fault.latency_s, jitter_s=fault.latency_s)
            sides.later(fault.lasts_s, cable.clear)
        case "slow reader":
            cable.impair(**{f"{way}_bytes_per_s": fault.bytes_per_s for way in ways})
            sides.later(fault.lasts_s, cable.clear)
        case "half-open, healed" | "half-open, cut":
            cable.impair(**{f"{way}_stopped": True for way in ways})
            if fault.kind == "half-open, cut":
                sides.later(fault.lasts_s, lambda: cable.cut(reset=draw.random() < 0.5))
            sides.later(fault.lasts_s, cable.clear)


def _address_of_its_own(seed: int) -> tuple[str, int]:
    """A port on a loopback address that nobody else uses, so that it stays free while an edge is started again."""
    host = f"127.{64 + os.getpid() % 128}.{1 + os.getpid() // 128 % 254}.{1 + seed % 254}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return host, int(probe.getsockname()[1])


def _defects(folder: Path) -> list[str]:
    """What the logs call a defect."""
    found = []
    for name in (EDGE_LOG, SCANNER_LOG):
        lines = (folder / name).read_text(errors="replace").splitlines() if (folder / name).exists() else []
        found += [f"{name}: {line}" for line in lines if "Traceback" in line or "defect" in line][:3]
    return found
