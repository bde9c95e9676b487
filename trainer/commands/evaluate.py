"""`leuko-train evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.choices import EngineChoice, Precision
from trainer.commands.arguments import AsJson, Described, Root
from trainer.data.split_plan import HELP
from trainer.evaluation.settings import DENSE_FROM, ROUNDS, SMALL_BELOW_UM, EvaluationSettings


def evaluate(
    target: Annotated[Path, typer.Argument(help="directory of a bundle, or best.pt or last.pt of a training")],
    data: Described,
    root: Root,
    split: Annotated[
        str | None, typer.Option(help="train, val or test; several separated by commas; test, or else val, when not given")
    ] = None,
    split_by: Annotated[str | None, typer.Option(help=f"as the model was trained when not given. {HELP}")] = None,
    source: Annotated[str | None, typer.Option(help="only images of this source")] = None,
    small_um: Annotated[float, typer.Option(help="cells under this size are in the subset of small cells")] = SMALL_BELOW_UM,
    dense_from: Annotated[int, typer.Option(help="annotated cells from which an image is a dense scene")] = DENSE_FROM,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="95 % limits by resampling groups of images, of each laboratory, too")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of --bootstrap")] = ROUNDS,
    precision: Annotated[Precision, typer.Option(help="what OpenVINO computes a bundle in")] = "auto",
    engine: Annotated[
        EngineChoice, typer.Option(help="a bundle's engine, as for `leuko-edge run`; it needs no passed gate")
    ] = "auto",
    engine_dir: Annotated[
        Path | None, typer.Option(help="directory of its compiled engines; beside the bundle if not set")
    ] = None,
    colours: Annotated[
        bool, typer.Option("--colours", help="move each source's colours to the model's, as `leuko-calib colour` would have it")
    ] = False,
    thresholds: Annotated[
        bool,
        typer.Option("--thresholds", help="also what other presence thresholds would count"),
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="measure each source at the um/px that its own red cells give")
    ] = False,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="mean the outputs for an image and its three mirror images; for a checkpoint")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on annotated images by the reference's protocol, through the edge's own fit and post-processing.

    leuko-train evaluate bundles/tiny --data datasets.yaml --root DIR

    leuko-train evaluate runs/tiny/best.pt --data datasets.yaml --root DIR --bootstrap --json
    """
    from trainer.evaluation.fold_summaries import Ways  # noqa: PLC0415
    from trainer.evaluation.measure import measure_split  # noqa: PLC0415 - torch and the engines take seconds to load
    from trainer.evaluation.presence_sweep import show_sweep  # noqa: PLC0415
    from trainer.evaluation.summary_table import show  # noqa: PLC0415
    from trainer.evaluation.target import target_of  # noqa: PLC0415

    settings = EvaluationSettings(
        small_below_um=small_um, dense_from=dense_from, bootstrap_rounds=rounds if bootstrap else 0, other_thresholds=thresholds
    )
    opened = target_of(target, precision, engine=engine, engine_dir=engine_dir, mirrored=mirrored)
    ways = Ways(colours=colours, scale=scale, mirrored=mirrored)
    summary = measure_split(opened, data, root, split, source, split_by, settings, precision, ways=ways)
    show(summary, as_json)
    if thresholds and not as_json:
        show_sweep(summary)
