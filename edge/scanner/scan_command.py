"""The command `leuko-edge scan`: what was typed, read; the scan, performed under a bar; the result, told."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.scanner.fault_plan import FAULTS, parse_faults, share_of
from edge.scanner.scan_report import figures, is_proven, tell_scan
from edge.scanner.virtual_scan import Detector, options_of, perform_scan, slide_of
from edge.watch.work_progress import field_bar


def list_faults() -> None:
    """Print every fault with what it does."""
    table = Table("fault", "what happens")
    for name, does in FAULTS.items():
        table.add_row(name, does)
    Console(highlight=False).print(table)


def scan_slide(
    given: Mapping[str, Any],
    slide: str,
    overlap: str,
    faults: Sequence[str],
    detector: Detector,
    settings: Mapping[str, Any],
    *,
    as_json: bool,
) -> bool:
    """Perform and print it; whether all adds up, and a perfect detector's count is that of the slide.

    Raises `ConfigError` for what cannot be scanned so, and `StreamError`.
    """
    drawn, options, share = slide_of(slide), options_of(given), share_of(overlap, "--overlap")
    plan = parse_faults([spec for each in faults for spec in each.split(",")], drawn.seed)
    if not as_json:
        print("The slide is drawn and the scanner emulated: this shows the machinery, it says nothing about real blood.")
    with field_bar() as progress:
        task = progress.add_task("fields", total=None)
        scanned = perform_scan(drawn, options, share, plan, detector, settings, lambda n: progress.advance(task, n))
    if as_json:
        print(json.dumps(figures(scanned, detector)))
    else:
        tell_scan(scanned, detector, options.target)
    if scanned.sums.problems:
        print(f"{len(scanned.sums.problems)} things do not add up, report this defect.", file=sys.stderr)
    return not scanned.sums.problems and (detector == "model" or is_proven(scanned))
