"""What `leuko-edge watch` says about each record, as text: header, one line per field, the result."""

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.records import Advice, Detection, Differential, Event, FieldRecord, FieldStatus, RunStart, RunStop
from edge.contracts.stop_state import RaisedFlag, StopResult

SHORT: dict[str, str] = {cell.name: cell.abbreviation for cell in CELLS} | {
    UNIDENTIFIED: "unid.",
    UNIDENTIFIED_NON_WBC: "unid. non-WBC",
}


def header(start: RunStart) -> list[str]:
    """Where the results come from: run, model, engine (which names its precision), source."""
    what = start.provenance
    expected = f", {start.fields_expected} fields expected" if start.fields_expected is not None else ""
    slide = f", slide {start.slide_id}" if start.slide_id else ""
    return [
        f"run      {start.run_id}{slide}, policy {start.policy}{expected}",
        f"model    {what.bundle_name} (bundle {what.bundle_id[:12]})",
        f"engine   {what.engine}, on {what.host}",
        f"source   {what.source}, {what.frame_width_px}x{what.frame_height_px} px at {what.um_per_px:g} um/px",
    ]


def marks(start: RunStart) -> list[str]:
    """Why this run's numbers must not be read as a patient's; empty when there is no such reason."""
    found = []
    if start.provenance.is_synthetic:
        found.append("SYNTHETIC FIELDS: drawn by the virtual slide, not photographed")
    if not start.provenance.bundle_trained:
        found.append("UNTRAINED WEIGHTS: every detection is random")
    if start.provenance.engine_parity == "waived":
        found.append("ENGINE NOT VERIFIED: started without a passed parity gate")
    if start.provenance.engine_parity == "failed":
        found.append("ENGINE DIFFERS FROM ITS MODEL: started although it failed its parity gate")
    if start.policy == "latest":
        found.append("FIELDS MAY BE DROPPED: policy `latest`")
    if not start.diagnostic and not found:
        found.append("NOT DIAGNOSTIC: the edge says so")
    return found


def columns(record: FieldRecord) -> tuple[str, ...]:
    """One field: index, source, status, cells, sums of this field, leukocytes so far, milliseconds."""
    seen = ", ".join(_cell(cell) for cell in record.detections) or record.detail or "-"
    if record.overflow:
        seen += " (OVERFLOW: cells may be missing)"
    if not record.counted:
        seen += " (not counted)"
    if record.quality is not None and record.quality.bad:
        seen += f" ({', '.join(record.quality.bad)}{'; left out of the slide' if record.quality.left_out else ''})"
    if record.replaces is not None:
        seen += f" ({'replaces' if record.counted else 'was to replace'} {record.replaces})"
    total = f"{record.times.total_ms:.1f}" if record.times else "-"
    return (
        str(record.field_index),
        record.source_name or "-",
        record.status.value,
        seen,
        counts(record.counts),
        str(record.running.wbc_total),
        total,
    )


def labels(record: FieldRecord) -> set[str]:
    """Every class that a field's line may name by its abbreviation."""
    named = {label for cell in record.detections for label in (cell.label, cell.best_class)}
    return named | set(record.counts) | set(record.running.cells)


def differential_labels(differential: Differential) -> set[str]:
    """Every class that the differential names."""
    return {row.label for row in differential.rows} | set(differential.non_wbc_per_100_wbc)


def legend(named: set[str]) -> str:
    """What the abbreviations among these labels stand for, in the order of the classes; empty where there is none."""
    words = [f"{short} {label.replace('_', ' ')}" for label, short in SHORT.items() if label in named and short != label]
    return ", ".join(words)


def counts(cells: dict[str, int]) -> str:
    """Cells per class, most frequent first."""
    by_number = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n} {SHORT.get(label, label)}" for label, n in by_number if n) or "-"


def field_line(record: FieldRecord) -> str:
    """One field as one plain line."""
    index, source, status, seen, here, wbc, total_ms = columns(record)
    return (
        f"field {index:>4}  {status:<10} {total_ms:>7} ms  {source}  cells: {seen}  this field: {here}  "
        f"so far: {wbc} WBC; {counts(record.running.cells)}"
    )


def note(record: Advice | Event) -> str:
    """An advice or event as one plain line."""
    if isinstance(record, Advice):
        return f"advice: {record.advice} ({record.reason})"
    return f"{record.severity}: {record.message}"


def result(stop: RunStop) -> list[str]:
    """How the run ended and what became of its fields."""
    ended = ", ".join(f"{n} {status.value}" for status, n in stop.fields.items() if n) or "none"
    detail = f" ({stop.detail})" if stop.detail else ""
    rate = f", {stop.triggers / stop.duration_s:.1f} fields/s" if stop.duration_s > 0 and stop.triggers else ""
    lines = [
        f"run {stop.outcome.value}{detail} after {stop.duration_s:.1f} s{rate}",
        f"fields   {stop.triggers} triggered: {ended}",
        f"cells    {counts(stop.cells)}",
    ]
    if stop.slide is not None:
        same = stop.slide.same_cells
        repeats = f"{same} pair{'' if same == 1 else 's'} of detections in fields that overlap"
        lines.append(f"once     each cell once ({repeats}): {counts(stop.slide.cells)}")
        if stop.slide.flags:
            lines.append(f"look at  {', '.join(map(flag_text, stop.slide.flags))}")
    if stop.slide is not None and stop.slide.stop is not None:
        lines.append(f"order    {order_text(stop.slide.stop)}")
    if stop.net is not None:
        lines.append(f"net      {stop.net.replaced} replaced by a field imaged anew; without them: {counts(stop.net.cells)}")
    if stop.carried is not None:
        lines.append(f"carried  over {len(stop.carried.run_ids)} runs: {counts(stop.carried.cells)}")
    lines += [f"DOUBT    {doubt}" for doubt in stop.doubts]
    if not stop.sums_match:
        lines.append("DEFECT   the fields do not add up to the triggers: do not use this result, and report it")
    return lines


def order_text(stop: StopResult) -> str:
    """What became of the order's stop rule."""
    if stop.final is None:
        return f"no limit was reached with {stop.wbc} leukocytes"
    at = stop.final
    where = f" of run {at.run_id}" if at.run_id is not None else ""
    return (
        f"{at.reason.replace('_', ' ')} reached with field {at.field_index}{where}, {at.wbc} leukocytes; beyond it "
        f"{stop.overshoot_wbc} in {stop.overshoot_fields} fields"
    )


def flag_text(raised: RaisedFlag) -> str:
    """What a person should look at, and why."""
    per = " per 100 WBC" if raised.unit == "per_100_leukocytes" else ""
    return f"{raised.flag.replace('_', ' ')} ({raised.value:.3g}{per}, limit {raised.limit:g})"


def is_unusable(record: FieldRecord) -> bool:
    """Whether the field ended without a count."""
    return record.status not in {FieldStatus.OK, FieldStatus.EMPTY}


def unusable_lines(unusable: list[FieldRecord], total: int) -> list[str]:
    """Which fields were not counted and why, for the end of a run; `total` of them, of which the first are given."""
    if not total:
        return []
    lines = [f"not counted ({total} field{'' if total == 1 else 's'}):"]
    for record in unusable:
        name = f" {record.source_name}" if record.source_name and record.source_name not in record.detail else ""
        lines.append(f"  field {record.field_index}{name} {record.status.value}: {record.detail or 'no reason given'}")
    return [*lines, f"  and {total - len(unusable)} more"] if total > len(unusable) else lines


def differential_rows(differential: Differential) -> list[tuple[str, str, str, str]]:
    """Class, count, per cent, 95 % limits."""
    return [
        (
            SHORT.get(row.label, row.label),
            str(row.count),
            f"{row.percent:.1f}",
            f"{row.low_percent:.1f} - {row.high_percent:.1f}",
        )
        for row in differential.rows
    ]


def non_wbc(differential: Differential) -> str:
    """Cells that are not leukocytes, as laboratories report them."""
    rates = differential.non_wbc_per_100_wbc.items()
    return ", ".join(f"{rate:.1f} {SHORT.get(label, label)}" for label, rate in rates if rate) or "none"


def _cell(cell: Detection) -> str:
    if cell.label == cell.best_class:
        return f"{SHORT.get(cell.label, cell.label)} {cell.score:.2f}"
    return f"{SHORT.get(cell.label, cell.label)} ({SHORT.get(cell.best_class, cell.best_class)}? {cell.score:.2f})"
