"""What `leuko-build verify` shows people: how each executor did, what each one counts, and what stands against each."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from builder.gate_outcome import Baseline, GateOutcome, Verified
from edge.contracts.engine_files import ParityResult


def print_gate(outcome: GateOutcome) -> None:
    """All that `leuko-build verify` tells, on standard output."""
    console = Console(highlight=False)
    for size in outcome.sizes:
        console.print(results_table(size.baseline, size.engines))
        for line in failure_lines(size.baseline, size.engines):
            console.print(line, markup=False, soft_wrap=True)
    for problem in outcome.unreadable:
        console.print(problem, markup=False, soft_wrap=True)
    n_passed = sum(verified.passed for verified in outcome.engines)
    n_undecided = sum(verified.ending == "not decided" for verified in outcome.engines)
    undecided = f", {n_undecided} not decided" if n_undecided else ""
    n_engines = len(outcome.engines) + len(outcome.unreadable)
    console.print(
        f"Parity gate: {n_passed} of {n_engines} engines ran here and passed{undecided}. "
        f"FP16 emulation (which is not the gate): {outcome.emulation}.",
        soft_wrap=True,
    )


def results_table(baseline: Baseline, engines: Sequence[Verified]) -> Table:
    """One column per executor: what it is, how its cells differ from the reference's, its cells per label.

    An engine that did not run has a column that says so.
    """
    images, reference = baseline.images, baseline.report()
    marked = " (drawn, not real)" if images.are_synthetic else ""
    names = ["FP16 emulation", *(verified.files.manifest.key for verified in engines)]
    results = [baseline.emulation, *(verified.report.engine for verified in engines)]
    table = Table(title=f"{images.images} images{marked}: {images.origin}", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("reference", *names):
        table.add_column(name, justify="right", overflow="fold")
    table.add_row("by", baseline.reference, *(result.executor if result else "did not run" for result in results))
    rows = [_figures(result) for result in results]
    for row, name in enumerate(_FIGURES):
        of_reference = str(reference.reference_cells) if name == "cells" else ""
        table.add_row(name, of_reference, *(figures[row] for figures in rows), end_section=row == len(_FIGURES) - 1)
    counts = [reference.reference_counts, *(result.counts if result else None for result in results)]
    for label in dict.fromkeys(label for each in counts if each for label in each):
        table.add_row(label, *("" if each is None else str(each.get(label, 0)) for each in counts))
    return table


def failure_lines(baseline: Baseline, engines: Sequence[Verified]) -> Iterator[str]:
    """Every limit that was not kept, what too few cells leave open, and every engine that did not run, a line each."""
    if baseline.emulation.undecided:
        yield f"not decided: {baseline.emulation.undecided}; {baseline.how_to_decide()}"
    for failure in baseline.emulation.failures:
        yield f"FP16 emulation: {failure}"
    for verified in engines:
        key = verified.files.manifest.key
        for failure in verified.report.engine.failures if verified.report.engine else ():
            yield f"{key}: {failure}"
        if verified.report.engine_not_run:
            kept = f" (its report from elsewhere is kept: {verified.files.gate})" if verified.kept else ""
            yield f"{key} did not run to the end: {verified.report.engine_not_run}{kept}"
    overflows = sum(field.overflow for field in baseline.cells)
    if overflows:
        yield f"{overflows} of {len(baseline.cells)} frames have more candidates than the graph has rows; a run marks them"


_FIGURES = ("cells", "missed", "added", "other label", "score p99", "IoU median", "IoU mean", "IoU lowest", "limits")

_LIMITS = {"passed": "kept", "failed": "NOT KEPT", "not decided": "too few cells"}


def _figures(result: ParityResult | None) -> list[str]:
    """In the order of `_FIGURES`."""
    if result is None:
        return [""] * len(_FIGURES)
    changes = (result.cells, result.missed, result.added, result.label_flips)
    quality = (result.p99_score_difference, result.median_iou, result.mean_iou, result.min_iou)
    return [*map(str, changes), *(f"{value:.4f}" for value in quality), _LIMITS[result.verdict]]
