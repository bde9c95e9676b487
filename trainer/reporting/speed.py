"""The reference's Table 2 with ours beside it: accuracy, training time, time per image."""

from collections.abc import Sequence

from trainer.reporting.document import Cell, Section, Table
from trainer.reporting.formatting import NONE, duration, figure, listed
from trainer.reporting.report_sources import MeasuredRun, Reference, System

HEAD = (
    "system",
    "mAP",
    "training",
    "images/s trained",
    "ms per image, median",
    "ms per image, 95th percentile",
    "engine alone, median ms",
    "trained on",
    "timed on",
)


def speed(runs: Sequence[MeasuredRun], reference: Reference) -> Section:
    """Ours first. What nobody recorded is a dash."""
    rows = [_own(run) for run in runs]
    rows += [_published(system, reference) for system in reference.systems]
    table = Table(
        "Accuracy, training and time per image",
        _row(HEAD),
        tuple(rows),
        f"Source of the others: {reference.source}.",
    )
    timed = [f"{run.name}, timed over {run.summary.time_ms.whole.n} images: {run.summary.time_ms.whole.timed}." for run in runs]
    words = f"The reference's times are of its {reference.gpu}; times on different machines compare machines as much as models."
    return Section("Beside the reference: speed (its Table 2)", (words, *timed), (table,))


def _own(run: MeasuredRun) -> tuple[Cell, ...]:
    summary = run.summary
    seconds = [model.training_s for model in summary.models if model.training_s is not None]
    rates = [model.training_images_per_s for model in summary.models if model.training_images_per_s is not None]
    machines = list(dict.fromkeys(model.training_on for model in summary.models if model.training_on))
    cells = (
        run.name,
        figure(summary.map),
        duration(sum(seconds)) if seconds else NONE,
        f"{sum(rates) / len(rates):.1f}" if rates else NONE,
        figure(summary.time_ms.whole.median, 1),
        figure(summary.time_ms.whole.p95, 1),
        figure(summary.time_ms.engine.median, 1),
        listed(machines) if machines else NONE,
        listed(summary.time_ms.on) if summary.time_ms.on else summary.engine,
    )
    return _row(cells, "ours")


def _published(system: System, reference: Reference) -> tuple[Cell, ...]:
    cells = (
        f"{reference.short}: {system.name}",
        figure(system.map),
        f"{system.training_hours:g} h",
        NONE,
        f"{system.inference_ms:g}",
        NONE,
        NONE,
        reference.gpu,
        reference.gpu,
    )
    return _row(cells)


def _row(texts: Sequence[str], look: str = "") -> tuple[Cell, ...]:
    """The last two columns are words."""
    looks = [look] * (len(texts) - 2) + [f"{look} text".strip()] * 2
    return tuple(map(Cell, texts, looks))
