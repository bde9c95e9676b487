"""A bundle's card: what a person must know before using the model, written from the same data as the manifest."""

from typing import Any

from leukostream.edge.contracts.cells import CELLS

NOT_FOR = """\
Not a medical device. Do not use it to diagnose, to treat, or to report a differential for a patient. Do not use it on other
stains than Wright-Giemsa or May-Gruenwald-Giemsa, at other scales than the one above without `fit`, or on other specimens than
peripheral blood. Counts of classes without real training images (below) mean nothing on real slides.
"""


def card(manifest: dict[str, Any]) -> str:
    """Markdown. `manifest` holds the fields of `BundleManifest` (all but `files`)."""
    training = manifest["training"]
    scale = (
        f"{manifest['um_per_px']} um/px, fields of {manifest['field_width_px']} x {manifest['field_height_px']} px, "
        f"stretched to {manifest['network_width_px']} x {manifest['network_height_px']}"
    )
    head = f"# {manifest['name']}\n\n{manifest['architecture']}; {scale}.\nWeights are stored as FP16, arithmetic is FP32.\n"
    if not training["trained"]:
        return head + "\n**Random weights.** For tests and benchmarks of speed only; its detections mean nothing.\n"
    parts = [
        head,
        "## What it must not be used for\n\n" + NOT_FOR,
        "## Training\n\n" + _training(training),
        "## Data\n\n" + _data(training["data"]),
        "## Measured\n\n" + _metrics(training["metrics"]),
    ]
    return "\n".join(parts)


def _training(training: dict[str, Any]) -> str:
    recipe = training["recipe"]
    steps = sum(phase["steps"] for phase in recipe["phases"])
    start = training["data"].get("started_from")
    begun = f"It goes on from recipe `{start['recipe']['name']}` after {start['step']} steps. " if start else ""
    return begun + (
        f"Recipe `{recipe['name']}`, {steps} steps in {len(recipe['phases'])} phases, seed {training['seed']}, code "
        f"{training['code_version']}. The whole recipe as it was resolved is in `bundle.json` under `training.recipe`.\n"
    )


def _data(data: dict[str, Any]) -> str:
    lines = ["| data set | images for training | licence | origin |", "| --- | --- | --- | --- |"]
    for name, row in data.get("sources", {}).items():
        lines.append(f"| {name} | {row['images']} | {row['licence']} | {row['origin']} |")
    cells = data.get("train_cells", {})
    real = [f"{cell.name} {cells[cell.name]}" for cell in CELLS if cells.get(cell.name)]
    if cells.get("untyped_neutrophil"):
        real.append(f"neutrophils, band or segmented, {cells['untyped_neutrophil']}")
    if cells.get("untyped_wbc"):
        real.append(f"leukocytes of unknown type {cells['untyped_wbc']}")
    drawn = [cell.name for cell in CELLS if not cells.get(cell.name)]
    lines += ["", f"Annotated cells used for training: {', '.join(real)}."]
    if drawn:
        lines += ["", f"Without any real image, trained on drawn cells only: {', '.join(drawn)}."]
    return "\n".join(lines) + "\n"


def _metrics(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "Nothing was measured when this bundle was written.\n"
    lines = [
        f"{metrics['images']} held-back images (split `{metrics['split']}`), engine {metrics['engine']}. "
        f"Repeat with `{metrics['command']}`.",
        "",
        "| what | truth | AP at IoU 0.5 |",
        "| --- | --- | --- |",
        f"| any leukocyte | {metrics['wbc']['truth']} | {_ap(metrics['wbc']['ap'])} |",
    ]
    lines += [f"| {name} | {row['truth']} | {_ap(row['ap'])} |" for name, row in metrics["classes"].items() if row["truth"]]
    missing = [name for name, row in metrics["classes"].items() if not row["truth"]]
    lines += ["", f"Mean over the {len(metrics['classes']) - len(missing)} classes with truth: {_ap(metrics['map'])}."]
    if missing:
        lines += [f"No held-back image shows: {', '.join(missing)}; nothing is known about them."]
    count = metrics["counting"]
    lines += [
        "",
        f"Counting at the default thresholds: {count['counted']} leukocytes counted where the annotation has {count['true']}; "
        f"mean absolute error {count['mean_absolute_error']:.3f} per image.",
    ]
    return "\n".join(lines) + "\n"


def _ap(value: float | None) -> str:
    return "no truth" if value is None else f"{value:.3f}"
