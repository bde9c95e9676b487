"""`leuko-train data`: check, init and export."""

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
def init(
    folder: Annotated[
        Path, typer.Argument(help="folder of annotated images, as labelImg, CVAT, Label Studio or Roboflow wrote it")
    ],
    out: Annotated[Path, typer.Option(help="description to write; the class map is written beside it")] = Path("data.yaml"),
    um_per_px: Annotated[float | None, typer.Option(help="size of a pixel; left to fill in when not given")] = None,
) -> None:
    """Find a folder's format and classes, and write a description and a class map to edit.

    leuko-train data init our_slides --um-per-px 0.13
    """
    from trainer.data.init_description import TO_CHOOSE, write_description  # noqa: PLC0415 - as for `check`

    description, class_map, kind, unknown = write_description(folder, out, um_per_px)
    say = Console(stderr=True, markup=False, soft_wrap=True).print
    say(f"{folder} is {kind}; {description} and {class_map} are written.")
    say(f"Fill in what says {TO_CHOOSE}" + (f", as the classes of {', '.join(unknown)}" if unknown else "") + "; then:")
    say(f"leuko-train data check --data {description} --root {folder.resolve().parent}")


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
