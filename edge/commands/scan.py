"""`leuko-edge scan`: a virtual scanner over a virtual slide, through a real edge, and the truth beside its count."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.scanner.scan_options import ScanOptions
from edge.settings.command_line import Given, takes


@takes(ScanOptions, *ScanOptions.model_fields)
def scan(
    given: Given,
    slide: Annotated[
        str, typer.Option(help="seed:42, and what else is drawn: seed:42,wbc=3 (leukocytes per field).")
    ] = "seed:42",
    overlap: Annotated[str, typer.Option(help="Share of a field's side that the next one shows again, as 15%.")] = "15%",
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE|NAME@FIELD", help="What goes wrong, several times: dropped=2%, edge-killed@40, ..."),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the faults there are, and end.")] = False,
    detector: Annotated[
        Literal["model", "truth"],
        typer.Option(help="The bundle's model, or a perfect detector, which proves the counting alone."),
    ] = "model",
    bundle: Annotated[Path | None, typer.Option(help="Directory with the model (default: the shipped one).")] = None,
    journal: Annotated[Path | None, typer.Option(help="Keep the runs' records in this file, as `leuko-edge run` does.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Scan a drawn slide until the target is counted, and hold the count against what is really there.

    An edge process of its own and a scanner, over real sockets: a stage with backlash and errors, a trigger line,
    a camera with a counter of its own. All of it is emulated and seeded, and says nothing about real blood.

    Exit code: 0 every trigger has ended once, all sums match, and a perfect detector's count is within its limits; 1 not so;
    2 a setting, 3 the bundle, 6 the edge stays away.
    """
    from edge.scanner.scan_command import list_faults, scan_slide

    if faults:
        list_faults()
        return
    settings = {name: str(path) for name, path in (("bundle", bundle), ("journal", journal)) if path is not None}
    well = scan_slide(given, slide, overlap, fault or [], detector, settings, as_json=as_json)
    raise typer.Exit(0 if well else 1)
