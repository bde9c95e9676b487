"""`leuko-train colours`."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.arguments import DataSets, Root


def colours(
    bundle: Annotated[Path, typer.Argument(help="a bundle, as it was exported")],
    data: DataSets,
    root: Root,
    out: Annotated[Path, typer.Option(help="new directory for the child bundle")],
    detect: Annotated[
        float | None, typer.Option(min=0, max=1, help="presence threshold of fields whose colours are moved; the same without")
    ] = None,
) -> None:
    """Write a child of a bundle that says which colours it knows: the same graph, and the colours of its training images.

    An instrument's profile (`leuko-calib colour`) then moves its fields to them.

    leuko-train colours bundles/tiny --data datasets.yaml --root DIR --out bundles/tiny-colours
    """
    from rich.console import Console  # noqa: PLC0415

    from edge.contracts.bundle import load_bundle, require_new  # noqa: PLC0415
    from trainer.export.reference_colours import with_colours  # noqa: PLC0415

    require_new(out)
    parent = load_bundle(bundle)
    moved = parent.manifest.thresholds.model_copy(update={"detect": detect}) if detect is not None else None
    child = with_colours(parent, data, root, out, moved)
    say = Console(stderr=True, highlight=False).print
    reference = child.manifest.reference_colours
    for name, source in reference.sources.items() if reference is not None else ():
        empty, red = (", ".join(f"{level:.0f}" for level in c) for c in (source.colours.empty, source.colours.red_cells))
        say(f"{name}: empty slide {empty}; red cells {red} (blue, green, red; {source.images} images)")
    say(f"bundle {child.path} written, id {child.bundle_id}, child of {parent.bundle_id}", soft_wrap=True)
