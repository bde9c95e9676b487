"""The figures of laboratories as a table for a terminal, a row each."""

from collections.abc import Mapping

from rich.table import Table

from trainer.evaluation.summary import EmptyFields, Estimate, LaboratoryFigures

HEADINGS = (
    "laboratory",
    "leukocytes",
    "AP, any",
    "recall",
    "precision",
    "counted",
    "types, mean AP",
    "right of found",
    "unidentified",
    "likeliest right",
    "false in 1,000 fields",
)


def laboratories_table(laboratories: Mapping[str, LaboratoryFigures]) -> Table:
    """Each figure with its 95 % limits; false leukocytes with the bound that their rate is below with 95 %."""
    table = Table(title="each laboratory by itself", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
    for name, row in laboratories.items():
        table.add_row(name, *cells_of(row))
    table.caption, table.caption_justify = _CAPTION, "left"
    return table


_CAPTION = (
    "`right`, `unidentified` and `likeliest right` (also of the unidentified) are shares of the found leukocytes whose type is "
    "known. False leukocytes are those outside all annotated cells; fields are of 95 x 75 um."
)


def cells_of(row: LaboratoryFigures) -> tuple[str, ...]:
    """What stands under `HEADINGS` but the first."""
    return (
        str(row.leukocytes),
        _figure(row.ap),
        _figure(row.recall),
        _figure(row.precision),
        _counted(row.counted, row.count_error),
        _figure(row.types),
        _figure(row.right_of_found),
        _figure(row.unidentified_of_found),
        _figure(row.likeliest_of_found),
        _false(row.outside),
    )


def _figure(one: Estimate) -> str:
    if one.value is None:
        return "no truth"
    return f"{one.value:.3f}" if one.low is None else f"{one.value:.3f} ({one.low:.3f}-{one.high:.3f})"


def _counted(counted: int, error: Estimate) -> str:
    if error.value is None or error.low is None or error.high is None:
        return str(counted)
    return f"{counted}, {100 * error.value:+.1f} % ({100 * error.low:+.1f} to {100 * error.high:+.1f})"


def _false(outside: EmptyFields) -> str:
    return f"{outside.per_1000:.0f} (below {outside.high_per_1000:.0f}; {outside.false_leukocytes} in {outside.fields:.0f})"
