"""`make chaos`: many scans, and a table of what was injected and what was observed."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from chaos.chaos_plan import WhoScans
from chaos.scans import Scan, scans

_OBSERVED = {
    "runs": "runs",
    "interrupted": "of these interrupted by a killed edge",
    "triggers": "triggers accepted",
    "records": "records",
    "lost": "records lost",
    "invented": "records that the journal does not hold so",
    "reordered": "records reordered",
    "twice": "records taken twice",
    "counted_twice": "fields counted twice",
    "unacknowledged": "records whose last ACK was lost",
}


def main() -> None:
    """Exit code 1, and the seeds, when anything does not add up."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="scans to perform (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first scan (1)")
    parser.add_argument("--folder", type=Path, help="where journals, notebooks and logs of failed scans stay")
    parser.add_argument(
        "--controller", choices=["both", "own", "letter"], default="both", help="who scans; both: by turns (both)"
    )
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="leuko-chaos-"))
    seeds = list(range(given.seed, given.seed + given.runs))
    kinds: list[WhoScans] = ["own", "letter"] if given.controller == "both" else [given.controller]

    def controller(seed: int) -> WhoScans:
        return kinds[seed % len(kinds)]

    console = Console(stderr=True)
    performed = list(
        track(scans(seeds, folder, controller=controller), "scans", total=len(seeds), console=console, transient=True)
    )
    Console().print(table(performed))
    failed = [scan for scan in performed if scan.account.problems]
    for scan in failed:
        for problem in scan.account.problems:
            print(f"seed {scan.seed}, {scan.controller} controller ({scan.folder}): {problem}", file=sys.stderr)
    if failed:
        print(
            f'once more: make chaos CHAOS_ARGS="--seed {failed[0].seed} --controller {failed[0].controller} --runs 1"',
            file=sys.stderr,
        )
    sys.exit(bool(failed))


def table(performed: list[Scan]) -> Table:
    """What was done to the scans, and what became of them."""
    injected: Counter[str] = Counter()
    for scan in performed:
        injected.update(scan.injected)
    letters = sum(scan.controller == "letter" for scan in performed)
    shown = Table("", "", title=f"{len(performed)} scans, {letters} of them by the document alone", show_header=False)
    for fault, count in sorted(injected.items()):
        shown.add_row(f"injected: {fault}", str(count))
    shown.add_section()
    for name, meaning in _OBSERVED.items():
        shown.add_row(f"observed: {meaning}", str(sum(getattr(scan.account, name) for scan in performed)))
    shown.add_row("observed: records sent again, as a relay saw", str(sum(scan.resent for scan in performed)))
    shown.add_row("observed: scans with a problem", str(sum(bool(scan.account.problems) for scan in performed)))
    return shown


if __name__ == "__main__":
    main()
