"""Everything that the page shows in words and numbers, as one JSON object, from what was heard and what was read."""

import time
from collections.abc import Iterator
from typing import Any

from edge.reports.report_making import counted_sums
from edge.reports.run_report import BASES, ReportedSums
from edge.reports.svg_pictures import class_bars
from edge.view.followed_run import FollowedRun
from edge.view.heard import Heard, Pace
from edge.watch.record_text import marks

GOALS_MS = {"YOLOv3-320": 14.0, "SSD300": 53.0}
"""Time for an image in Wang et al., PLoS ONE 2019: the two throughputs that the project is held against."""
SILENT_S = 3.0
"""An edge says something every second."""
_MOST_SAID = 20
_BEHIND = 5
"""Fields that the reading of the journal may be behind the socket without a word."""
_ONCE = frozenset({"sums", "pace", "last_field", "fields"})
_NO_RESULT = ("lost", "incomplete", "failed", "timeout", "skipped")


def heard_state(heard: Heard, problem: str, endpoint: str) -> dict[str, Any]:
    """Of the telemetry socket."""
    live, now_s = heard.live, time.monotonic()
    silent_s = None if heard.t_s is None else now_s - heard.t_s
    known: dict[str, Any] = {
        "endpoint": endpoint,
        "heard": live is not None,
        "silent_s": None if silent_s is None or silent_s < SILENT_S else int(silent_s),
        "messages_missed": heard.missed,
        "restarts": heard.restarts,
        "problem": problem,
    }
    if live is None:
        return known
    state = live.service_state or ("RUNNING" if live.phase in {"running", "stopping"} else "READY")
    sums = counted_sums("net", live.net.cells) if live.net is not None else counted_sums("raw", live.cells)
    return known | {
        "state": state,
        "reason": live.service_reason or "",
        "paused": live.paused,
        **live.model_dump(include={"phase", "run_id", "lag", "engine", "queue_fields", "open_triggers", "sessions"}),
        "ended": heard.ended,
        "unseen": heard.unseen,
        "fields": {} if heard.is_of_the_run_before else {status.value: n for status, n in live.fields.items() if n},
        "sums": _sums(counted_sums("raw", {}) if heard.is_of_the_run_before else sums),
        "last_field": None
        if live.last_field is None or heard.is_of_the_run_before
        else live.last_field.model_dump(mode="json", include={"trigger_id", "field_index", "status", "counts", "overflow"}),
        "pace": _pace(heard.pace),
    }


def run_state(run: FollowedRun | None, problem: str) -> dict[str, Any]:
    """Of the journal."""
    if run is None:
        return {"problem": problem, "run_id": None}
    start, last, report = run.start, run.last, run.report
    return {
        "problem": problem,
        "run_id": run.run_id,
        "slide_id": start.slide_id if start else None,
        "marks": list(marks(start)) if start else [],
        "source": start.provenance.source if start else "",
        "records": run.next_seq,
        "ended": len(run.fields),
        "outcome": run.stop.outcome.value if run.stop else None,
        "detail": run.stop.detail if run.stop else "",
        "state": report.state if report else "provisional",
        "reviewed": report.reviewed if report else "",
        "reviews": report.chain.reviews if report else 0,
        "chain": report.chain.verdict if report else "",
        "chain_is_whole": report.chain.is_whole if report else None,
        "fields": run.field_ends,
        "sums": _sums(run.sums),
        "remarks": [one.model_dump(mode="json") for one in reversed(run.remarks)][:_MOST_SAID],
        "severities": dict(run.severities),
        "pace": _pace(run.pace),
        "last_field": None
        if last is None
        else {
            **last.model_dump(mode="json", include={"trigger_id", "field_index", "status", "detail", "counts", "overflow"}),
            **last.model_dump(mode="json", include={"width_px", "height_px", "source_name"}),
            "bad": list(last.quality.bad) if last.quality else [],
            "cells": [
                {
                    "id": run.ids.get((last.field_index, tuple(one.box_px))),
                    "label": one.label,
                    "score": one.score,
                    "box_px": one.box_px,
                }
                for one in last.detections
            ],
        },
    }


def alarms_of(heard: dict[str, Any] | None, run: dict[str, Any] | None) -> list[dict[str, str]]:
    """What a person should look at now, the gravest first."""
    found = [*_alarms_heard(heard), *_alarms_read(run)]
    return sorted(found, key=lambda one: one["severity"] != "error")


def _alarms_heard(heard: dict[str, Any] | None) -> Iterator[dict[str, str]]:
    if heard is None:
        return
    where = heard["endpoint"]
    if heard["problem"]:
        yield _alarm("error", heard["problem"])
    elif not heard["heard"]:
        yield _alarm(
            "error", f"Nothing was heard from {where} yet: is an edge running with --telemetry {where}, and are its keys these?"
        )
    elif heard["silent_s"] is not None:
        yield _alarm("error", f"Nothing was heard from {where} for {heard['silent_s']} s; what stands here is how it was then.")
    if heard["heard"]:
        if heard["state"] == "FAULT":
            yield _alarm("error", f"FAULT: {heard['reason'] or 'no reason is said'}")
        elif heard["reason"] and heard["state"] != "RUNNING":
            yield _alarm("info", heard["reason"])
        if heard["paused"]:
            yield _alarm("info", "The run is paused.")


def _alarms_read(run: dict[str, Any] | None) -> Iterator[dict[str, str]]:
    if run is None:
        return
    if run["problem"]:
        yield _alarm("error", run["problem"])
    if run["run_id"] is None:
        return
    if run["chain_is_whole"] is False:
        yield _alarm("error", f"The records are not those that were written: {run['chain']}.")
    if run["outcome"] in {"failed", "interrupted"}:
        yield _alarm("error", f"The run ended as {run['outcome']}{': ' * bool(run['detail'])}{run['detail']}")
    for status in _NO_RESULT:
        if n := run["fields"].get(status):
            yield _alarm("warning", f"{n} fields ended as {status}: they are no empty fields, their cells are not known.")
    for mark in run["marks"]:
        yield _alarm("info", mark)


def gaps_of(heard: dict[str, Any] | None, run: dict[str, Any] | None) -> list[str]:
    """What this page does not know, and why. Never an empty field."""
    said = []
    if heard is not None and heard["heard"]:
        if heard["messages_missed"]:
            said.append(
                f"{heard['messages_missed']} telemetry messages were missed: the socket drops what a reader has no room for. "
                "The sums are whole, since each message has them."
            )
        if heard["restarts"]:
            said.append(f"The edge process was started again {heard['restarts']} times while this page looked on.")
        if heard["unseen"] and (run is None or run["run_id"] != heard["run_id"]):
            said.append(
                f"{heard['unseen']} of {heard['ended']} ended fields were not seen here: they are gaps, hatched on the map, "
                "and in the sums. With --journal FILE they are read from the records."
            )
        if run is not None and run["run_id"] == heard["run_id"] is not None and run["ended"] + _BEHIND < heard["ended"]:
            said.append(f"The journal was read as far as field {run['ended']} of {heard['ended']}.")
    if run is None:
        said.append("No journal is read (--journal FILE): boxes, positions, events and pictures are not known here.")
    return said


def _alarm(severity: str, text: str) -> dict[str, str]:
    return {"severity": severity, "text": text}


def _sums(sums: ReportedSums) -> dict[str, Any]:
    known = sums.differential
    return {
        "basis": BASES[sums.basis],
        "cells": sums.cells,
        "wbc_total": known.wbc_total,
        "rows": [row.model_dump() for row in known.rows],
        "per_100": known.non_wbc_per_100_wbc,
        "bars": class_bars(known),
    }


def _pace(pace: Pace) -> dict[str, float | None]:
    return {
        "fields_per_s": pace.fields_per_s,
        "last_ms": pace.last_ms,
        "median_ms": pace.median_ms,
        "infer_ms": pace.infer_ms,
    }


def whole_state(heard: dict[str, Any] | None, run: dict[str, Any] | None, *, may_review: bool) -> dict[str, Any]:
    """What the page gets. The journal's account stands wherever it has the run that is performed."""
    follows = (
        run is not None
        and run["run_id"] is not None
        and (heard is None or not heard["heard"] or run["run_id"] == heard["run_id"] or heard["run_id"] is None)
    )
    counts = run if follows else heard if heard is not None and heard["heard"] else None
    pace = heard["pace"] if heard is not None and heard["heard"] and heard["run_id"] else (run or {}).get("pace")
    return {
        "heard": _without_parts(heard),
        "run": _without_parts(run) if follows else None,
        "counts_from": "journal" if counts is run and run is not None else "telemetry" if counts is not None else None,
        "sums": counts["sums"] if counts else _sums(counted_sums("raw", {})),
        "fields": counts["fields"] if counts else {},
        "ended": counts["ended"] if counts else 0,
        "last_field": counts["last_field"] if counts else None,
        "pace": pace or _pace(Pace()),
        "goals_ms": GOALS_MS,
        "alarms": alarms_of(heard, run),
        "gaps": gaps_of(heard, run),
        "may_review": may_review,
    }


def _without_parts(known: dict[str, Any] | None) -> dict[str, Any] | None:
    """Without what the page gets once, of whichever of the two it stands for."""
    return {name: value for name, value in known.items() if name not in _ONCE} if known is not None else None
