"""What was measured: model, images, split, engine, and what nobody knows."""

from collections.abc import Sequence

from edge.contracts.errors import ConfigError
from trainer.data.split_plan import parse_plan
from trainer.reporting.document import Cell, Section, Table
from trainer.reporting.formatting import listed, unknown, weak
from trainer.reporting.report_sources import MeasuredRun

NOT_KNOWN = "not recorded"


def what_was_measured(runs: Sequence[MeasuredRun]) -> Section:
    """The first section."""
    facts = [_facts(run) for run in runs]
    rows = [(Cell(name), *(Cell(row[name]) for row in facts)) for name in facts[0]]
    table = Table("Model, images and engine", (Cell(""), *(Cell(run.name, "ours") for run in runs)), tuple(rows), kind="facts")
    return Section("What was measured", tuple(_limits_of_knowledge(runs)), (table,))


def _facts(run: MeasuredRun) -> dict[str, str]:
    summary = run.summary
    models = summary.models
    return {
        "Model": listed(list(dict.fromkeys(model.name for model in models))) if models else NOT_KNOWN,
        "Architecture": listed(list(dict.fromkeys(model.architecture for model in models))) if models else NOT_KNOWN,
        "Bundle": listed([model.bundle_id[:12] for model in models if model.bundle_id] or [NOT_KNOWN]),
        "Images": f"{summary.images} ({', '.join(summary.wbc_ap_by_source) or summary.source or NOT_KNOWN})",
        "Annotated leukocytes": str(summary.wbc.truth),
        "Split": _split(run),
        "Engine": summary.engine,
        "Measured on": summary.date or NOT_KNOWN,
        "Repeat with": summary.command,
    }


def _split(run: MeasuredRun) -> str:
    summary = run.summary
    if summary.folds:
        held = f"each image held back once, in {len(summary.folds.map)} folds, whole slides and near-duplicates together"
        return f"{held} ({summary.split_by})"
    return f"{summary.split}: {_divided(summary.split_by)}"


def _divided(split_by: str) -> str:
    try:
        plan = parse_plan(split_by)
    except ConfigError:
        return split_by
    return {
        "given": "as the data sets themselves divide their images",
        "random": f"{plan.share:.0%} of the images drawn at random, as the reference did; one slide may be on both sides",
        "grouped": f"{plan.share:.0%} of the images, whole slides and near-duplicates together",
        "fold": f"fold {plan.fold} of {plan.folds} (counted from 0), whole slides and near-duplicates together",
        "source": f"every image of {', '.join(plan.sources)}, as laboratories of their own",
    }[plan.kind]


def _trained_on(run: MeasuredRun) -> str:
    """Summaries that were written before `caution` was only know the names of the splits."""
    if run.held_back or run.summary.caution:
        return run.summary.caution
    return "Images of the training split are among these; such figures say nothing about new slides."


def _limits_of_knowledge(runs: Sequence[MeasuredRun]) -> list[str]:
    """What no figure here speaks about; said once when it holds for every run."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for line in (_trained_on(run), unknown(run.unseen, run.held_back), weak(run.truths)):
            said.setdefault(line, []).append(run.name)
    said.pop("", None)
    return [line if len(names) == len(runs) else f"{listed(names)}: {line}" for line, names in said.items()]
