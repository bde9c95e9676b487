"""`leuko-train data`: check and export."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge.contracts.errors import DataError
from trainer.commands.arguments import DEFAULT_RECIPE, Described, Root
from trainer.data.annotation import SPLITS
from trainer.data.split_plan import HELP

data = typer.Typer(help="Look at annotated images before training on them.", no_args_is_help=True)


@data.command()
def check(
    description: Described,
    root: Root,
    split_by: Annotated[str, typer.Option(help=HELP)] = "given",
    recipe: Annotated[str, typer.Option(help="recipe the images are for: at its scale none may be too small")] = DEFAULT_RECIPE,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of tables")] = False,
    sheet: Annotated[Path | None, typer.Option(help="picture to write: examples of each class with their boxes")] = None,
) -> None:
    """Count the cells, and list everything that is wrong with the images and their labels; errors end with exit code 7.

    leuko-train data check --data datasets.yaml --root DIR --sheet classes.png
    """
    from trainer.data.check.check_data import check_data  # noqa: PLC0415 - what looks at pixels takes a while to load
    from trainer.data.check.check_table import show  # noqa: PLC0415
    from trainer.data.check.class_examples import require_picture, write_examples  # noqa: PLC0415
    from trainer.recipe import load_recipe  # noqa: PLC0415 - loads torch

    if sheet is not None:
        require_picture(sheet)
    report, rows = check_data(description, root, split_by, load_recipe(recipe).scale.um_per_px)
    show(report, as_json)
    if sheet is not None:
        write_examples(sheet, rows)
    if errors := report.count("error"):
        raise DataError(f"{description} has {errors} errors in its data; mend the listed files, then check again.")


@data.command()
def export(
    description: Described,
    root: Root,
    out: Annotated[Path, typer.Option(help="file of JSON lines to write")],
    split_by: Annotated[str, typer.Option(help=HELP)] = "given",
    split: Annotated[str, typer.Option(help="train, val or test; several separated by commas")] = ",".join(SPLITS),
) -> None:
    """Write the labels as one JSON line an image, for `leuko-calib` and other programs.

    leuko-train data export --data datasets.yaml --root DIR --out labels.jsonl --split test
    """
    from trainer.data.label_export import export_labels  # noqa: PLC0415 - as for `check`

    images, cells = export_labels(description, root, split_by, split, out)
    Console(stderr=True).print(f"{images} images, {cells} cells in {out}")
