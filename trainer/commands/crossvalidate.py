"""`leuko-train crossvalidate`."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from edge.contracts.bundle import Thresholds
from edge.contracts.errors import ConfigError, DataError
from trainer.checkpoint import load_checkpoint
from trainer.commands.fit import fit
from trainer.commands.fold_models import HELP, model_of_fold, parse_models
from trainer.data.datasets import load_datasets
from trainer.data.files import read_image
from trainer.data.groups import groups_of
from trainer.data.readers.description import load_description
from trainer.data.split import folds_of
from trainer.evaluation.bootstrap import ROUNDS
from trainer.evaluation.detect import results_of
from trainer.evaluation.summarise import EvaluationSettings, summarise_folds
from trainer.evaluation.summary import Summary
from trainer.evaluation.summary_table import table_of
from trainer.loop.training_loop import LAST
from trainer.overrides import parse_assignment
from trainer.recipe import load_recipe

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
    source: Annotated[str | None, typer.Option(help="measure on images of this source only; all are trained on")] = None,
    models: Annotated[list[str] | None, typer.Option("--model", metavar="K=PATH", help=HELP)] = None,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of resampling for the 95 % limits")] = ROUNDS,
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu or cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="threads of torch; its own choice when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of a table")] = False,
) -> None:
    """Train one model for each fold of the images and measure it on the images it never saw.

    leuko-train crossvalidate --data datasets.yaml --root DIR --out runs/folds

    Slides, originals and near-duplicates are never divided between training and held-back images. The same command goes on
    where it was interrupted: a finished fold is only measured, a begun one resumed.

    leuko-train crossvalidate ... --model 0=bundles/ours         the model that is used stands for the fold it held back
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "crossvalidate is one process; train with torchrun and `fit --split-by fold:K/N:SEED --out OUT/foldK`, then let "
            "crossvalidate measure those folds."
        )
    if threads:
        torch.set_num_threads(threads)  # of the measurements, too: `fit` is not called for a fold that is there
    say = Console(stderr=True).print
    there = parse_models(models or [], folds)
    written = out / (f"summary_{source}.json" if source else SUMMARY)
    # Before the images and the trainings, which take hours.
    with _writing(written):
        out.mkdir(parents=True, exist_ok=True)
    rows = load_datasets(data, root)
    # An evaluation leaves no image out; better to meet a damaged one now than after hours of training.
    for row in rows:
        read_image(row.path)
    groups = groups_of(rows, load_description(data).group_patterns)
    held_back = folds_of(rows, groups, folds, seed)
    measured = [[number for number in held if source in {None, rows[number].source}] for held in held_back]
    if not all(measured):
        known_sources = ", ".join(sorted({row.source for row in rows}))
        raise ConfigError(
            f"a fold holds no image of the source {source!r}; the sources are {known_sources}, or use fewer folds."
        )
    plans = [f"fold:{fold}/{folds}:{seed}" for fold in range(folds)]
    chosen = load_recipe(recipe, dict(parse_assignment(change) for change in changes or ()))
    last = [out / f"fold{fold}" / LAST for fold in range(folds)]
    own = {fold: path for fold, path in enumerate(last) if fold not in there and path.exists()}
    ready = there | {fold: path for fold, path in own.items() if load_checkpoint(path).finished}
    known = {fold: model_of_fold(path, plans[fold], chosen, rows, held_back[fold], device) for fold, path in ready.items()}
    targets, parts = [], []
    for fold, held in enumerate(held_back):
        say(f"fold {fold + 1} of {folds}")
        path = last[fold]
        try:
            if fold not in known:
                plan, begun = plans[fold], path.exists()
                fit(data, root, path.parent, recipe, changes, split_by=plan, resume=begun, device=device, threads=threads)
        except typer.Exit:
            say("the folds that are done are kept; the same crossvalidate command goes on here.")
            raise
        targets.append(known.get(fold) or model_of_fold(path, plans[fold], chosen, rows, held, device))
        parts.append(list(results_of(targets[-1], [rows[number] for number in measured[fold]])))
    given = ["--recipe", recipe, *(word for change in changes or () for word in ("--set", change))]
    given += [word for fold, path in there.items() for word in ("--model", f"{fold}={path.name}")]
    given += ["--device", device] if device != "auto" else []
    given += ["--source", source] if source else []
    words = [*given, "--folds", str(folds), "--seed", str(seed), "--rounds", str(rounds)]
    figures = summarise_folds(
        parts,
        Thresholds().detect,  # that of every target: see `model_of_fold`
        EvaluationSettings(bootstrap_rounds=rounds),
        root=root,
        groups=[groups[number] for part in measured for number in part],
    )
    summary = Summary(
        **dict(figures),
        models=tuple(target.model for target in targets),
        date=datetime.now(timezone.utc).date().isoformat(),
        split="test",
        split_by=f"fold:0..{folds - 1}/{folds}:{seed}",
        source=source,
        engine=", ".join(figures.time_ms.on),
        command=shlex.join(["leuko-train", "crossvalidate", "--data", data.name, "--root", "DIR", *words]),
    )
    # First to where nothing can be full.
    if as_json:
        print(summary.model_dump_json(indent=1), flush=True)
    else:
        Console().print(table_of(summary))
    with _writing(written):
        written.write_text(summary.model_dump_json(indent=1), encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"{path} could not be written ({problem.strerror}); free the disk or correct --out, then repeat the "
            "command: folds that are done are only measured again."
        ) from problem
