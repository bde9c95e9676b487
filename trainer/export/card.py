"""A bundle's card: what a person must know before using the model, written from the same data as the manifest."""

from typing import Any

from edge.contracts.cells import CELLS
from trainer.evaluation.summary import ClassFigures, Summary
from trainer.evaluation.summary_table import figure, figures_of, remarks

NOT_FOR = """\
Not a medical device. Do not use it to diagnose, to treat, or to report a differential for a patient. Do not use it on other
stains than Wright-Giemsa or May-Gruenwald-Giemsa, at other scales than the one above without `fit`, or on other specimens than
peripheral blood. Counts of classes without real training images (below) mean nothing on real slides.
"""

NEVER_TAUGHT = """
Expect cells of classes that it was taught on no photograph ({}) to be called by the name of another class in part, and with
confidence: they are not reliably left `unidentified`. Do not use its counts, also not those of classes that it knows, where
such cells may occur.
"""

NOT_TO_BE_HANDED_ON = """
**An experiment, not to be handed on.** Its second look was taught on images whose licence allows evaluation only.
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
    if (manifest.get("second_look") or {}).get("data", {}).get("experiment"):
        head += NOT_TO_BE_HANDED_ON
    parts = [
        head,
        "## What it must not be used for\n\n" + NOT_FOR + _never_taught(manifest),
        "## Training\n\n" + _training(training),
        "## Data\n\n" + _data(training["data"], training["recipe"].get("compose", {})),
        "## Classes\n\n" + _classes(manifest),
        *(["## Second look\n\n" + _look(look)] if (look := manifest.get("second_look")) else []),
        "## Measured\n\n" + _metrics(training["metrics"]),
    ]
    return "\n".join(parts)


def _never_taught(manifest: dict[str, Any]) -> str:
    """A warning that names the classes of which neither network saw a photograph; empty when there is none."""
    cells, look = manifest["training"]["data"].get("train_cells", {}), manifest.get("second_look") or {}
    unknown = [cell.name for cell in CELLS if not cells.get(cell.name) and cell.name not in look.get("taught", ())]
    return NEVER_TAUGHT.format(", ".join(unknown)) if unknown else ""


def _training(training: dict[str, Any]) -> str:
    recipe = training["recipe"]
    steps = sum(phase["steps"] for phase in recipe["phases"])
    start = training["data"].get("started_from")
    begun = f"It goes on from recipe `{start['recipe']['name']}` after {start['step']} steps. " if start else ""
    if start and "bundle_id" in start:
        begun = f"It was adapted from bundle `{start['bundle']}`, id `{start['bundle_id']}`. {_compared(training['data'])}"
    stopped = training["data"].get("stopped_after_step")
    early = f"Its training was stopped after {stopped} of them and did not finish. " if stopped is not None else ""
    early += _chosen(training["data"])
    return begun + (
        f"Recipe `{recipe['name']}`, {steps} steps in {len(recipe['phases'])} phases, seed {training['seed']}, code "
        f"{training['code_version']}. {early}The whole recipe as it was resolved is in `bundle.json` under `training.recipe`.\n"
    )


def _chosen(data: dict[str, Any]) -> str:
    """What validations had to do with which weights these are."""
    on = data.get("validated_on", {})
    by = f"by validations on {on.get('images')} held-back images (split `{on.get('split')}`)"
    if chosen := data.get("chosen"):
        return f"Its weights are those after step {chosen['after_step']}, chosen {by}: best {chosen['by']}. "
    if (ended := data.get("ended_early_after_step")) is not None:
        return f"Its training ended itself after {ended} of them, {by} that brought nothing better. "
    return ""


def _compared(data: dict[str, Any]) -> str:
    """How it did beside its parent."""
    if "compared" not in data:
        return "It was never compared with it. "
    found = data["compared"]
    before, after = found["before"], found["after"]
    verdict = f"It is worse: {'; '.join(found['worse'])}. " if found["worse"] else ""
    return (
        f"On {found['images']} held-back images with {found['leukocytes']} leukocytes AP of any leukocyte went from "
        f"{figure(before['ap'])} to {figure(after['ap'])}, and cells found and rightly typed from {before['typed_right']} to "
        f"{after['typed_right']} of {found['typed']}. {verdict}"
    )


def _data(data: dict[str, Any], compose: dict[str, Any]) -> str:
    """`compose`: how the recipe composed the fields it trained on."""
    lines = ["| data set | images for training | licence | origin |", "| --- | --- | --- | --- |"]
    for name, row in data.get("sources", {}).items():
        lines.append(f"| {name} | {row['images']} | {row['licence']} | {row['origin']} |")
    cells = data.get("train_cells", {})
    real = [f"{cell.name} {cells[cell.name]}" for cell in CELLS if cells.get(cell.name)]
    if cells.get("untyped_neutrophil"):
        real.append(f"neutrophils, band or segmented, {cells['untyped_neutrophil']}")
    if cells.get("untyped_wbc"):
        real.append(f"leukocytes of unknown type {cells['untyped_wbc']}")
    missing = ", ".join(cell.name for cell in CELLS if not cells.get(cell.name))
    lines += ["", f"Annotated cells used for training: {', '.join(real)}."]
    painted, virtual = (compose.get(way, 0.0) for way in ("painted", "virtual"))
    if missing and painted + virtual > 0:
        lines += ["", f"Without any real image, trained on drawn cells only: {missing}."]
    elif missing:
        lines += ["", f"Not trained at all, for want of a cell; it cannot recognise: {missing}."]
    if virtual > 0:
        lines += ["", "Fields of the virtual slide, with drawn cells of all classes, were among those it was trained on."]
    return "\n".join(lines) + "\n"


def _classes(manifest: dict[str, Any]) -> str:
    """By class: on how many cells in photographs both networks were trained, and what held-back images say."""
    training, look = manifest["training"], manifest.get("second_look") or {}
    cells = [data.get("train_cells", {}) for data in (training["data"], look.get("data", {}))]
    figures = training["metrics"].get("classes", {})
    lines = ["| class | photographs, detector | photographs, second look | held back | what is known |", "|" + " --- |" * 5]
    for cell in CELLS:
        seen = [str(one.get(cell.name, 0) if one else "-") for one in cells]
        row = ClassFigures.model_validate(figures[cell.name]) if cell.name in figures else None
        if row is None or not row.truth:
            known = "nothing" if any(one.get(cell.name) for one in cells) else "nothing: no photograph"
        else:
            known = f"recall {figures_of(row)[3]}, precision {figures_of(row)[4]}"
        lines.append(f"| {' | '.join((cell.name, *seen, str(row.truth if row else 0), known))} |")
    return "\n".join(lines) + "\n"


def _look(look: dict[str, Any]) -> str:
    """`look` holds the fields of `SecondLook`."""
    sources = ", ".join(f"{name} ({row['images']} images)" for name, row in look["data"].get("sources", {}).items())
    return (
        f"A second network looks at the {look['looks']} likeliest cells of a field, {look['crop_um']:.3g} um around each, in "
        f"the same graph. It was taught on photographs of {', '.join(look['taught'])}, from {sources}. Licences and origins "
        "are in `bundle.json` under `second_look.data`.\n"
    )


def _metrics(metrics: dict[str, Any]) -> str:
    """`metrics`: a reduced `Summary`."""
    if not metrics:
        return "Nothing was measured when this bundle was written.\n"
    summary = Summary.model_validate(metrics)
    lines = [
        f"{summary.images} held-back images (split `{summary.split}`), engine {summary.engine}. "
        f"Repeat with `{summary.command}`.",
        "",
        "| what | truth | AP at IoU 0.5 | 11-point AP | recall (95 % limits) | precision |",
        "| --- | --- | --- | --- | --- | --- |",
        _row("any leukocyte", summary.wbc),
    ]
    lines += [_row(name, row) for name, row in summary.classes.items() if row.truth]
    missing = [name for name, row in summary.classes.items() if not row.truth]
    lines += [
        "",
        f"Mean over the {len(summary.classes) - len(missing)} classes with truth: {figure(summary.map)}, 11-point "
        f"{figure(summary.map_11_point)}. Recall and precision are at the default thresholds; a cell that stays unidentified "
        "is not found as its class.",
    ]
    if missing:
        lines += [f"No held-back image shows: {', '.join(missing)}; nothing is known about them."]
    lines += ["", *(f"- {remark}" for remark in remarks(summary))]
    return "\n".join(lines) + "\n"


def _row(name: str, row: ClassFigures) -> str:
    return f"| {' | '.join((name, *figures_of(row)))} |"
