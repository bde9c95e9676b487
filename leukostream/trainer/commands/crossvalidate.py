"""`leuko-train crossvalidate`."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from leukostream.trainer.checkpoint import load_checkpoint
from leukostream.trainer.commands.fit import fit
from leukostream.trainer.data.datasets import load_datasets
from leukostream.trainer.data.description import load_description
from leukostream.trainer.data.groups import groups_of
from leukostream.trainer.evaluation.bootstrap import ROUNDS
from leukostream.trainer.evaluation.detect import ImageResult, results_of
from leukostream.trainer.evaluation.report import table_of
from leukostream.trainer.evaluation.summarise import EvaluationSettings, summarise_folds
from leukostream.trainer.evaluation.summary import Summary
from leukostream.trainer.evaluation.target import Target, checkpoint_target
from leukostream.trainer.loop.fit import LAST

SUMMARY = "summary.json"


def crossvalidate(
    data: Annotated[Path, typer.Option(help="data description (YAML): data sets, scales, class maps, splits")],
    root: Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")],
    out: Annotated[Path, typer.Option(help="folder for one folder a fold, and summary.json")],
    recipe: Annotated[str, typer.Option(help="a shipped recipe or a YAML file")] = "shipped",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the recipe; repeat")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="the images are divided into so many parts, each held back once")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="of the division")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of resampling for the 95 % limits")] = ROUNDS,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu or cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(help="threads of the training; torch's choice when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of a table")] = False,
) -> None:
    """Train one model for each fold of the images and measure it on the images it never saw.

    leuko-train crossvalidate --data datasets.yaml --root DIR --out runs/folds

    Slides, originals and near-duplicates are never divided between training and held-back images. The same command goes on
    where it was interrupted: a finished fold is only measured, a begun one resumed.
    """
    targets, parts = [], []
    for fold in range(folds):
        plan, folder = f"fold:{fold}/{folds}:{seed}", out / f"fold{fold}"
        Console(stderr=True).print(f"fold {fold + 1} of {folds}")
        target = _trained(data, root, folder, recipe, changes, plan, device, threads)
        held = [row for row in load_datasets(data, root, plan) if row.split == "test"]
        targets.append(target)
        parts.append(list(results_of(target, held)))
    summary = _pooled(targets, parts, data, root, f"fold:0..{folds - 1}/{folds}:{seed}", rounds)
    (out / SUMMARY).write_text(summary.model_dump_json(indent=1), encoding="utf-8")
    if as_json:
        print(summary.model_dump_json(indent=1))
    else:
        Console().print(table_of(summary))


def _trained(
    data: Path,
    root: Path,
    folder: Path,
    recipe: str,
    changes: list[str] | None,
    plan: str,
    device: str,
    threads: int | None,
) -> Target:
    """The model of one fold, trained to the end. `fit` refuses a checkpoint of another recipe or of other images."""
    last = folder / LAST
    fit(data, root, folder, recipe, changes, split_by=plan, resume=last.exists(), device=device, threads=threads)
    return checkpoint_target(load_checkpoint(last))


def _pooled(targets: list[Target], parts: list[list[ImageResult]], data: Path, root: Path, plan: str, rounds: int) -> Summary:
    patterns = {name: one.group_by for name, one in load_description(data).sources.items() if one.group_by}
    groups = groups_of([result.annotation for part in parts for result in part], patterns)
    settings = EvaluationSettings(bootstrap_rounds=rounds)
    figures = summarise_folds(parts, targets[0].thresholds.detect, settings, root=root, groups=groups)
    return Summary(
        **dict(figures),
        models=tuple(target.model for target in targets),
        date=datetime.now(timezone.utc).date().isoformat(),
        split="test",
        split_by=plan,
        source=None,
        engine=", ".join(figures.time_ms.on),
        command=f"leuko-train crossvalidate --data {data.name} --root DIR --folds {len(parts)}",
    )
