"""`leuko-train data`: check and export."""

from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.console import Console

from edge.contracts.errors import ConfigError, DataError
from edge.contracts.label_lines import write_label_lines
from trainer.commands.fit import DEFAULT_RECIPE
from trainer.data.annotation import SPLITS
from trainer.data.check.check_data import check as check_data
from trainer.data.check.check_table import rendered
from trainer.data.check.class_examples import class_examples
from trainer.data.datasets import load_datasets
from trainer.data.label_export import label_lines
from trainer.data.readers.description import load_description
from trainer.data.split import HELP, parse_splits
from trainer.recipe import load_recipe

data = typer.Typer(help="Look at annotated images before training on them.", no_args_is_help=True)

PICTURES = (".png", ".jpg")

Described = Annotated[Path, typer.Option("--data", help="data description (YAML)")]
Root = Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")]


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
    if sheet is not None and sheet.suffix.lower() not in PICTURES:
        raise ConfigError(f"a sheet cannot be written as {sheet.name!r}; use {' or '.join(PICTURES)}.")
    report, rows = check_data(description, root, split_by, load_recipe(recipe).scale.um_per_px)
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        console = Console()
        for part in rendered(report):
            console.print(part, soft_wrap=isinstance(part, str), highlight=False)
    if sheet is not None:
        _write_picture(sheet, cv2.imencode(sheet.suffix, class_examples(rows)))
    if errors := report.count("error"):
        raise DataError(f"{description} has {errors} errors in its data; mend the listed files, then check again.")


def _write_picture(path: Path, encoded: tuple[bool, cv2.typing.MatLike]) -> None:
    try:
        path.write_bytes(encoded[1].tobytes())
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({problem.strerror}); choose another --sheet.") from problem


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
    wanted = parse_splits(split)
    rows = load_datasets(description, root, split_by)
    lines = [line for line in label_lines(rows, root, load_description(description).group_patterns) if line.split in wanted]
    if not lines:
        raise ConfigError(f"no image of {description} is in the splits {split!r}; use {', '.join(SPLITS)}.")
    try:
        count = write_label_lines(out, lines)
    except OSError as problem:
        raise ConfigError(f"{out} cannot be written ({problem.strerror}); choose another --out.") from problem
    Console(stderr=True).print(f"{count} images, {sum(len(line.cells) for line in lines)} cells in {out}")
