"""The learning curve of an adaptation as a table for a terminal."""

from rich.table import Table

from trainer.evaluation.adaptation_curve import AdaptationCurve
from trainer.evaluation.cell_verdicts import exact_limits
from trainer.evaluation.summary_table import figure

HEADINGS = ("images", "slides", "AP, any leukocyte", "found (95 %)", "found and rightly typed (95 %)", "counted", "falsely")


def table_of(curve: AdaptationCurve) -> Table:
    """A row for each number of images, 0 being the bundle itself."""
    some = next(iter(curve.points), None)
    cells = f", {some.compared.leukocytes} leukocytes" if some else ""
    title = f"{curve.bundle} on {curve.held_back} images of {curve.held_back_slides} other slides of {curve.source}{cells}"
    table = Table(title=title, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for point in curve.points:
        after, n, typed = point.compared.after, point.compared.leukocytes, point.compared.typed
        table.add_row(
            str(point.images),
            str(point.slides),
            figure(after.ap),
            _share(after.found, n),
            _share(after.typed_right, typed),
            str(after.counted),
            str(after.false),
        )
    worse = [f"{p.images} images: {'; '.join(p.compared.worse)}" for p in curve.points if p.compared.worse]
    if worse:
        table.caption, table.caption_justify = "Worse than the bundle with " + ". With ".join(worse) + ".", "left"
    return table


def _share(hits: int, trials: int) -> str:
    low, high = exact_limits(hits, trials)
    return "no truth" if low is None or high is None else f"{hits / trials:.3f} ({low:.3f}-{high:.3f})"
