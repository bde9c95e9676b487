"""`leuko-calib boxes`: a network's anchors or default boxes fitted to the cells of a data set."""

import json
from pathlib import Path
from typing import Annotated

import typer


def boxes(
    labels: Annotated[Path, typer.Argument(help="annotated images, as `leuko-train data export` writes them")],
    out: Annotated[Path, typer.Option(help="the new recipe, to be given to `leuko-train fit`")],
    recipe: Annotated[str, typer.Option(help="shipped recipe whose boxes are fitted, for example ssd300-smin0.2")] = (
        "yolov3-tiny-416"
    ),
    picture: Annotated[Path | None, typer.Option(help="cells and boxes as a picture; beside the recipe when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Fit the boxes a network starts from to the cells of one's own images, and write them as a recipe.

    YOLO's anchors by k-means over 1 - IoU; SSD's smallest and largest scale by trying. Sizes are taken in um, so that images of
    several scales go together. The table says what the reference's boxes could find of these cells, and what the fitted
    ones can.

    leuko-train data export --data mine.yaml --root images/ --out labels.jsonl
    leuko-calib boxes labels.jsonl --recipe yolov3-tiny-416 --out mine-boxes.yaml
    """
    from rich.console import Console
    from rich.table import Table

    from calib.box_report import as_json as result_as_json
    from calib.box_report import fit_boxes, recipe_fragment
    from calib.box_shapes import SYSTEMS
    from calib.plots import write_box_plot
    from edge.contracts.errors import ConfigError
    from edge.contracts.label_lines import read_label_lines

    if recipe not in SYSTEMS:
        raise ConfigError(f"the boxes of {recipe!r} cannot be fitted; choose one of {', '.join(SYSTEMS)}.")
    if out.exists():
        raise ConfigError(f"{out} already exists; choose another name for the new recipe.")
    fit = fit_boxes(read_label_lines(labels), SYSTEMS[recipe])
    drawn = picture or out.with_suffix(".png")
    if picture is None and drawn.exists():
        raise ConfigError(f"the picture of the boxes would overwrite {drawn}; name another file with --picture.")
    write_box_plot(drawn, fit)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(recipe_fragment(fit), encoding="utf-8")
    if as_json:
        print(json.dumps(result_as_json(fit) | {"recipe_file": str(out), "picture": str(drawn)}))
        return
    table = Table(title=f"{fit.n_cells} whole cells ({fit.n_cut} cut by a border left out), {recipe}")
    table.add_column("boxes")
    table.add_column("mean best overlap", justify="right")
    table.add_column("best possible recall", justify="right")
    for name, overlap in (("the reference's", fit.before), ("fitted", fit.after)):
        table.add_row(name, f"{overlap.mean_iou:.3f}", f"{overlap.recall:.1%}")
    console = Console(highlight=False)
    console.print(table)
    if fit.scales is not None:
        console.print(f"s_min {fit.scales[0]:g}, s_max {fit.scales[1]:g}", soft_wrap=True)
    else:
        shapes = zip(fit.shapes_um.tolist(), fit.shapes_px.tolist(), strict=True)
        lines = "; ".join(f"{wu:.1f} x {hu:.1f} um ({wp:g} x {hp:g} px)" for (wu, hu), (wp, hp) in shapes)
        console.print(f"anchors: {lines}", soft_wrap=True)
    console.print(f"cells and boxes: {drawn}; recipe: {out}", soft_wrap=True)
