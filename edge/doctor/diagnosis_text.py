"""What `leuko-edge doctor` says: a diagnosis for people, the same for scripts, and for a controller that asks."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.contracts.about_edge import Finding
from edge.contracts.names import printable
from edge.doctor.diagnosis import Diagnosis, Question, diagnose
from edge.engine.engine_places import engine_places, named
from edge.engine.machine import look_at_machine
from edge.engine.survey import verdict_as_json, verdict_rows
from edge.settings import Setup


def tell(question: Question, as_json_wanted: bool) -> None:
    """Diagnose this machine and print it; then raises what keeps a run from starting, if anything does."""
    found = diagnose(question, look_at_machine(everything=True))
    if as_json_wanted:
        print(json.dumps(as_json(found)))
    else:
        _print(found, question.engine_dir)
    if found.opening.problem is not None:
        raise found.opening.problem


def _print(found: Diagnosis, engine_dir: Path | None) -> None:
    rows = [(fact.name, fact.text, "" if fact.usable else "yellow") for fact in found.facts]
    if found.bundle is not None:
        rows.append(("bundle", f"{found.bundle.manifest.name}, {found.bundle.path}", ""))
        if found.why:
            rows.append(("serves", found.why, ""))
        if not found.engines:
            rows.append(("engines", f"none of this bundle in {named(engine_places(found.bundle, engine_dir))}", ""))
    for verdict in found.engines:
        rows += [(name, text, "" if verdict.fits else "yellow") for name, text in verdict_rows(verdict)]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text, style in rows:
        table.add_row(name, text, style=style)
    console = Console(highlight=False, markup=False)
    console.print(table)
    for line in _conclusion(found):
        console.print(line, soft_wrap=True)


def _conclusion(found: Diagnosis) -> list[str]:
    """Unwrapped lines: there are commands in them."""
    opening, wanted = found.opening, found.wanted
    if opening.problem is not None or wanted is None:
        first = "`leuko-edge run` would open no engine here."
    else:
        size = f"{wanted.frame_width_px} x {wanted.frame_height_px} px in batches up to {wanted.max_batch}"
        first = f"`leuko-edge run` would open for frames of {size}: {opening.text}"
    # The problem itself follows as the command's error.
    lacks = [each for each in found.gpu_engine_lacks if opening.problem is None or each != str(opening.problem)]
    doubts = [f"Mind: {each}" for each in (found.gate_doubt, _precision(found)) if each]
    return ["", first, *doubts, *(f"For a GPU engine: {each}" for each in lacks)]


def as_json(found: Diagnosis) -> dict[str, Any]:
    """The whole diagnosis, for programs."""
    gpu, bundle, opening = found.machine.gpu, found.bundle, found.opening
    return {
        "can_run": opening.problem is None,
        "problem": str(opening.problem) if opening.problem else None,
        "opens": {"text": opening.text, "runtime": opening.runtime, "key": opening.key} if opening.runtime else None,
        "wanted": asdict(found.wanted) if found.wanted else None,
        "gpu_engine_lacks": found.gpu_engine_lacks,
        "gate_doubt": found.gate_doubt or None,
        "precision": asdict(found.precision) if found.precision is not None else None,
        "gpu": {**gpu.identity.model_dump(), **{k: v for k, v in asdict(gpu).items() if k != "identity"}} if gpu else None,
        "facts": {fact.name: {"usable": fact.usable, "text": fact.text} for fact in found.facts},
        "bundle": {"name": bundle.manifest.name, "path": str(bundle.path), "bundle_id": bundle.bundle_id} if bundle else None,
        "serves": found.why or None,
        "engines": [verdict_as_json(verdict) for verdict in found.engines],
    }


def _precision(found: Diagnosis) -> str:
    return found.precision.said if found.precision is not None else ""


def findings(question: Question) -> tuple[Finding, ...]:
    """One per piece of this machine, per engine of the bundle, and per thing that keeps a run from more. Takes some seconds."""
    found = diagnose(question, look_at_machine(everything=True))
    opening = found.opening
    told = [Finding(name=each.name, text=printable(each.text), usable=each.usable) for each in found.facts]
    if found.bundle is not None:
        named = f"{found.bundle.manifest.name} ({found.bundle.bundle_id[:12]}), {found.bundle.path}"
        told.append(Finding(name="bundle", text=printable(f"{named}{'. ' * bool(found.why)}{found.why}")))
    told += [
        Finding(name=printable(f"engine {verdict.folder.name}"), text=printable(verdict.reason or "fits"), usable=verdict.fits)
        for verdict in found.engines
    ]
    if opening.problem is not None:
        told.append(Finding(name="a run", text=printable(str(opening.problem)), usable=False))
    else:
        told.append(Finding(name="a run", text=printable(f"would open {opening.text}")))
    if found.gate_doubt:
        told.append(Finding(name="the parity gate", text=printable(found.gate_doubt), usable=False))
    if said := _precision(found):
        told.append(Finding(name="the precision", text=printable(said)))
    return (*told, *(Finding(name="a GPU engine", text=printable(each), usable=False) for each in found.gpu_engine_lacks))


def question_of(setup: Setup, why: str = "", frame_px: tuple[int, int] | None = None) -> Question:
    """What a run with this setup would ask `doctor`; `why` its bundle serves is told with the rest."""
    settings = setup.settings
    return Question(
        setup.bundle.path,
        engine_dir=settings.engine_dir,
        frame_px=frame_px,
        max_batch=settings.max_batch,
        signers=settings.signers,
        settings=settings,
        why=why,
        profile=settings.profile,
        correct=settings.correct,
    )
