"""`leuko-train second-look`."""

from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.errors import ConfigError
from trainer.data.split_plan import HELP


def second_look(
    bundle: Annotated[Path, typer.Argument(help="a bundle, as it was exported; its detector stays as it is")],
    out: Annotated[Path, typer.Option(help="new directory for the bundle with both")],
    data: Annotated[Path | None, typer.Option(help="data description (YAML): what it is taught on")] = None,
    root: Annotated[Path | None, typer.Option(envvar="LEUKO_DATA", help="folder the descriptions' paths are in")] = None,
    split_by: Annotated[
        str,
        typer.Option(help=f"of sources that the detector was not taught on; of its own, what it held back stays so. {HELP}"),
    ] = "given",
    measure_on: Annotated[
        Path | None, typer.Option(help="data description: the bundle is measured on what its detector held back of it")
    ] = None,
    untaught: Annotated[
        Path | None,
        typer.Option(help="data description, with --measure-on: what the bundle calls cells that it was never taught"),
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(
            help="data description: taught on these images, too, though they may be for evaluation only; the bundle says that "
            "it is not to be handed on"
        ),
    ] = None,
    experiment_split_by: Annotated[str, typer.Option(help="division of the images of --experiment")] = "given",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the recipe: steps=2000; repeat")
    ] = None,
    detect: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="presence threshold; these three are the parent's when not given, with --remove first ones"
        ),
    ] = None,
    identify: Annotated[
        float | None, typer.Option(min=0, max=1, help="class threshold; below it a cell is `unidentified`")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="lead over the runner-up; below it a cell is `unidentified`")
    ] = None,
    name: Annotated[str | None, typer.Option(help="name of the bundle; that of its directory when not given")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="threads of torch; its own choice when not given")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="teach nothing: the bundle's own second look, of which `--set` makes something else")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="write the detector alone instead, to see what the look changes")
    ] = False,
) -> None:
    """Teach a bundle a second look: a small network on a crop of each cell found. Of which type is it, and is it one?

    leuko-train second-look bundles/ours --data laboratories.yaml --root DIR --split-by fold:0/5 --out bundles/ours-2

    It is part of the same graph: engines, the parity gate and the edge use such a bundle as any other.

    leuko-train second-look bundles/ours-2 --keep --set agreement=1 --identify 0.4 --out bundles/ours-3

    leuko-train second-look bundles/ours-2 --remove --out bundles/detector
    """
    from edge.contracts.bundle import Thresholds, load_bundle  # noqa: PLC0415
    from trainer.second_look.look_run import keep_second_look, remove_second_look, run_second_look  # noqa: PLC0415 - loads torch

    given = {"detect": detect, "identify": identify, "margin": margin}
    over = {key: value for key, value in given.items() if value is not None}
    if remove:
        # A detector's own presence is on another scale than what both say together.
        remove_second_look(bundle, out, Thresholds().model_copy(update=over))
        return
    thresholds = load_bundle(bundle).manifest.thresholds.model_copy(update=over)
    if keep:
        keep_second_look(
            bundle,
            out,
            changes or (),
            root,
            measure_on=measure_on,
            untaught=untaught,
            thresholds=thresholds,
            name=name or out.name,
        )
        return
    if data is None or root is None:
        raise ConfigError("a second look is taught on images: give --data and --root, or take one out with --remove.")
    run_second_look(
        bundle,
        data,
        root,
        out,
        changes or (),
        split_by=split_by,
        measure_on=measure_on,
        untaught=untaught,
        experiment=experiment,
        experiment_split_by=experiment_split_by,
        thresholds=thresholds,
        name=name or out.name,
        threads=threads,
    )
