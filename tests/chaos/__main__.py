"""`make chaos`: many scans, and a table of what was injected and what was observed."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from chaos.driver import Scan, scans


def main() -> None:
    """Exit code 1, and the seeds, when anything does not add up."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="scans to perform (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first scan (1)")
    parser.add_argument("--folder", type=Path, help="where journals, notebooks and logs of failed scans stay")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="leuko-chaos-"))
    seeds = list(range(given.seed, given.seed + given.runs))
    console = Console(stderr=True)
    performed = list(track(scans(seeds, folder), "scans", total=len(seeds), console=console, transient=True))
    Console().print(table(performed))
    for scan in performed:
        for problem in scan.account.problems:
            print(f"seed {scan.seed} ({scan.folder}): {problem}", file=sys.stderr)
    sys.exit(any(scan.account.problems for scan in performed))


def table(performed: list[Scan]) -> Table:
    injected: Counter[str] = Counter()
    for scan in performed:
        injected.update(scan.injected)
    accounts = [scan.account for scan in performed]
    shown = Table("", "", title=f"{len(performed)} scans", show_header=False)
    for fault, count in sorted(injected.items()):
        shown.add_row(f"injected: {fault}", str(count))
    shown.add_section()
    for name in ("runs", "interrupted", "triggers", "records", "lost", "reordered", "twice"):
        shown.add_row(f"observed: {name}", str(sum(getattr(one, name) for one in accounts)))
    shown.add_row("observed: problems", str(sum(len(one.problems) for one in accounts)))
    return shown


if __name__ == "__main__":
    main()
