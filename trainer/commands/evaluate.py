"""`leuko-train evaluate`."""

import shlex
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge.contracts.errors import ConfigError
from edge.engine.base import EngineChoice, Precision
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.groups import groups_of
from trainer.data.readers.description import load_description
from trainer.data.split import HELP, parse_splits
from trainer.evaluation.bootstrap import ROUNDS
from trainer.evaluation.detect import results_of
from trainer.evaluation.subsets import DENSE_FROM, SMALL_BELOW_UM
from trainer.evaluation.summarise import EvaluationSettings, summarise
from trainer.evaluation.summary import Summary
from trainer.evaluation.summary_table import table_of
from trainer.evaluation.target import Target, target_of

DEFAULT_SETTINGS = EvaluationSettings()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Images to measure a model on, and by what they were chosen."""

    rows: list[Annotation]
    data: Path
    root: Path
    split: str
    split_by: str
    source: str | None = None


def evaluate(
    target: Annotated[Path, typer.Argument(help="directory of a bundle, or last.pt of a training")],
    data: Annotated[Path, typer.Option(help="data description (YAML)")],
    root: Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")],
    split: Annotated[str, typer.Option(help="train, val or test; several separated by commas")] = "test",
    split_by: Annotated[str | None, typer.Option(help=f"as the model was trained when not given. {HELP}")] = None,
    source: Annotated[str | None, typer.Option(help="only images of this source")] = None,
    small_um: Annotated[float, typer.Option(help="cells under this size are in the subset of small cells")] = SMALL_BELOW_UM,
    dense_from: Annotated[int, typer.Option(help="annotated cells from which an image is a dense scene")] = DENSE_FROM,
    bootstrap: Annotated[bool, typer.Option("--bootstrap", help="95 % limits by resampling groups of images")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of --bootstrap")] = ROUNDS,
    precision: Annotated[Precision, typer.Option(help="what OpenVINO computes a bundle in")] = "auto",
    engine: Annotated[
        EngineChoice, typer.Option(help="a bundle's engine, as for `leuko-edge run`; it needs no passed gate")
    ] = "auto",
    engine_dir: Annotated[
        Path | None, typer.Option(help="directory of its compiled engines; beside the bundle if not set")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of a table")] = False,
) -> None:
    """Measure a model on annotated images by the reference's protocol, through the edge's own fit and post-processing.

    leuko-train evaluate bundles/tiny --data datasets.yaml --root DIR

    leuko-train evaluate runs/tiny/last.pt --data datasets.yaml --root DIR --bootstrap --json
    """
    settings = EvaluationSettings(small_below_um=small_um, dense_from=dense_from, bootstrap_rounds=rounds if bootstrap else 0)
    opened = target_of(target, precision, engine=engine, engine_dir=engine_dir)
    summary = measure_split(opened, data, root, split, source, split_by, settings, precision)
    if as_json:
        print(summary.model_dump_json(indent=1))
    else:
        Console().print(table_of(summary))


def measure_split(
    target: Target,
    data: Path,
    root: Path,
    split: str,
    source: str | None = None,
    split_by: str | None = None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    precision: Precision = "auto",
) -> Summary:
    """Figures of a model on one split, divided as for its training when `split_by` does not say otherwise.

    `precision` is what `target` was opened with. Raises `ConfigError` when the split holds no image.
    """
    return measure(target, choose(data, root, split, split_by or target.split_by, source), settings, precision)


def choose(data: Path, root: Path, split: str, split_by: str, source: str | None = None) -> Chosen:
    """The images of a split under the division `split_by`. Raises `ConfigError` when there is none."""
    wanted = parse_splits(split)
    rows = [row for row in load_datasets(data, root, split_by) if row.split in wanted and source in (None, row.source)]
    if not rows:
        whose = f" from {source!r}" if source else ""
        raise ConfigError(f"no image of {data} is in split {split!r}{whose} under --split-by {split_by}; choose another split.")
    return Chosen(rows, data, root, split, split_by, source)


def measure(
    target: Target, images: Chosen, settings: EvaluationSettings = DEFAULT_SETTINGS, precision: Precision = "auto"
) -> Summary:
    """Figures of a model on the images chosen; `precision` is what `target` was opened with."""
    rows = images.rows
    results = list(results_of(target, rows))
    groups = groups_of(rows, load_description(images.data).group_patterns) if settings.bootstrap_rounds else None
    figures = summarise(results, target.thresholds.detect, settings, root=images.root, groups=groups)
    return Summary(
        **dict(figures),
        models=(target.model,),
        date=datetime.now(timezone.utc).date().isoformat(),
        split=images.split,
        split_by=images.split_by,
        source=images.source,
        engine=", ".join(sorted({result.engine for result in results})),
        command=_command(images, settings, precision, target.engine_options),
        caution=target.caution([row.path for row in rows], images.split_by, parse_splits(images.split)),
    )


def _command(images: Chosen, settings: EvaluationSettings, precision: Precision, engine_options: tuple[str, ...]) -> str:
    """What repeats these figures."""
    words = [
        "leuko-train",
        "evaluate",
        "TARGET",
        "--data",
        images.data.name,
        "--root",
        "DIR",
        "--split-by",
        images.split_by,
        "--split",
        images.split,
    ]
    words += ["--source", images.source] if images.source else []
    words += ["--small-um", f"{settings.small_below_um:g}"] if settings.small_below_um != SMALL_BELOW_UM else []
    words += ["--dense-from", str(settings.dense_from)] if settings.dense_from != DENSE_FROM else []
    words += ["--bootstrap", "--rounds", str(settings.bootstrap_rounds)] if settings.bootstrap_rounds else []
    words += ["--precision", precision] if precision != "auto" else []
    words += engine_options
    return shlex.join(words)
