"""Runs scans in which everything goes wrong, and accounts for each of them."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from support.ports import free_endpoint

from chaos.accounts import Account, account
from chaos.processes import PLAN, context, start_edge, start_scanner
from chaos.proxy import Duplicator, FaultyCable

DEADLINE_S = 60.0
_MAX_FAULTS = 8


@dataclass
class Scan:
    """One scan: what was done to it, and what came out."""

    seed: int
    folder: Path
    injected: Counter[str] = field(default_factory=Counter)
    account: Account = field(default_factory=Account)


def scans(seeds: list[int], folder: Path, at_once: int = 5, keep: bool = False) -> Iterator[Scan]:
    """Perform one scan for each seed, several at a time. What a scan without problems leaves is deleted, unless `keep`."""
    forks = context()
    with ThreadPoolExecutor(at_once) as pool:
        for scan in pool.map(lambda seed: perform(forks, seed, folder / str(seed)), seeds):
            if not keep and not scan.account.problems:
                shutil.rmtree(scan.folder)
            yield scan


def perform(forks: ForkServerContext, seed: int, folder: Path) -> Scan:
    """One scan to its end, or to its deadline, which is a problem like any other."""
    folder.mkdir(parents=True)
    scan, dice = Scan(seed, folder), random.Random(seed)
    edge_at = free_endpoint()
    with _between(edge_at, seed) as (cable, relay):
        edge = start_edge(forks, folder, edge_at, seed)
        scanner = start_scanner(forks, folder, relay.endpoint, seed)
        deadline_s = time.monotonic() + DEADLINE_S
        while not (folder / "notebook.jsonl").exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)  # a process that is still importing cannot be hurt
        while scanner.exitcode != 0 and time.monotonic() < deadline_s:
            scanner.join(dice.uniform(0.01, 0.15))
            if scanner.exitcode == 0:
                break
            fault = dice.choice(_FAULTS) if scan.injected.total() < _MAX_FAULTS else ""
            if fault == "edge killed" or edge.exitcode is not None:
                scan.injected[fault] += fault == "edge killed"
                edge.kill()
                edge.join()
                edge = start_edge(forks, folder, edge_at, dice.randrange(2**32))
            elif fault == "scanner killed" or scanner.exitcode is not None:
                scan.injected[fault] += fault == "scanner killed"
                scanner.kill()
                scanner.join()
                scanner = start_scanner(forks, folder, relay.endpoint, dice.randrange(2**32))
            elif fault:
                scan.injected[fault] += 1
                _break(cable, fault, dice)
        late = scanner.exitcode != 0
        for process in (scanner, edge):
            process.kill()
            process.join()
        scan.injected.update({f"twice {way}": n for way, n in relay.duplicated.items()})
    scan.injected = +scan.injected
    scan.account = account(folder, PLAN.fields)
    if late:
        scan.account.problems.append(f"the scan was not complete after {DEADLINE_S:g} s")
    return scan


_FAULTS = ("edge killed", "scanner killed", "cut", "cut", "half-open", "delay", "slow reader", "", "")


@contextmanager
def _between(edge_at: str, seed: int) -> Iterator[tuple[FaultyCable, Duplicator]]:
    cable = FaultyCable(int(edge_at.rsplit(":", 1)[1]))
    relay = Duplicator(f"tcp://127.0.0.1:{cable.port}", seed)
    try:
        yield cable, relay
    finally:
        relay.close()
        cable.close()


def _break(cable: FaultyCable, fault: str, dice: random.Random) -> None:
    match fault:
        case "cut":
            cable.cut(reset=dice.random() < 0.5)
        case "half-open":
            cable.half_open(dice.uniform(0.1, 1.2))
        case "delay":
            cable.delay(0.5, dice.uniform(0.005, 0.1))
        case "slow reader":
            cable.slow(0.4, dice.uniform(5e3, 2e5))
