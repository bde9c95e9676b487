"""A profile with the batch and deadline of one engine, and what is told of the sweep that found them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from calib.latency_choice import Cell, Choice
from calib.profile_parts import dates
from edge.contracts.latency import EngineIdentity, LatencyBudget, LatencySetting, MeasuredLatency
from edge.contracts.profile import Profile


def with_latency_of(
    profile: Profile,
    engine: EngineIdentity,
    choice: Choice,
    budget: LatencyBudget,
    *,
    fields: int,
    settings_tried: int,
    valid_days: int,
) -> Profile:
    """`profile` with what was chosen, under the engine's key; those of other engines stay."""
    chosen = choice.chosen
    best = chosen.best
    assert best is not None and best.rate_per_s is not None
    measured_at, expires_at = dates(valid_days)
    setting = LatencySetting(
        measured_at=measured_at,
        expires_at=expires_at,
        engine=engine,
        max_batch=chosen.max_batch,
        max_delay_ms=chosen.deadline_ms,
        budget=budget,
        rate_per_s=best.rate_per_s,
        p99_ms=best.p99_ms,
        overshoot_fields=best.overshoot_fields,
        fields_per_s=chosen.fields_per_s,
        fields=fields,
        settings_tried=settings_tried,
    )
    others = profile.latency.engines if profile.latency is not None else {}
    return profile.model_copy(update={"latency": MeasuredLatency(engines={**others, engine.key: setting})})


def as_table(choice: Choice) -> Table:
    """A row for each setting."""
    table = Table()
    for name in ("batch", "deadline ms", "fastest within budget", "p99 ms there", "overshoot", "full speed, fields/s"):
        table.add_column(name, justify="right")
    for each in choice.all:
        best = each.best
        cells = (
            ("none", "-", "-")
            if best is None
            else (
                f"{best.rate_per_s:g} per s",
                f"{best.p99_ms:.1f}",
                f"{best.overshoot_fields:.2f}",
            )
        )
        style = "bold" if each == choice.chosen else ""
        table.add_row(str(each.max_batch), f"{each.deadline_ms:g}", *cells, f"{each.fields_per_s:.1f}", style=style)
    return table


def as_json(
    cells: Sequence[Cell], choice: Choice, engine: EngineIdentity, written: Path, digest: str, picture: Path
) -> Mapping[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    chosen = choice.chosen
    return {
        "engine": engine.model_dump(),
        "key": engine.key,
        "max_batch": chosen.max_batch,
        "max_delay_ms": chosen.deadline_ms,
        "rate_per_s": chosen.best.rate_per_s if chosen.best else None,
        "fields_per_s": chosen.fields_per_s,
        "runs": [asdict(cell) for cell in cells],
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }
