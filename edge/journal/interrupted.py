"""Ends the runs that a former edge process left open: it crashed, was killed, or lost its power."""

import json
from contextlib import suppress
from datetime import datetime
from itertools import islice

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import (
    FieldRecord,
    FieldStatus,
    NetResult,
    NetSums,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
)
from edge.counting import differential
from edge.journal.base import Journal
from edge.journal.carried import carried_into
from edge.journal.earlier_runs import held_by, slide_result

_STEP = 64
_FIELD, _EVENT = b'{"type":"field"', b'{"type":"event"'
MOST_DOUBTS = 20
"""Of the notes of a run that cast a doubt on its result so many are said again at its end; every one is an event."""
_DETAIL = (
    "the edge process ended in mid-run; fields that it had taken in and not recorded are in no count: repeat them in a new run."
)
_LOST = "the edge process ended before this field was recorded; repeat it in a new run."


def end_interrupted(journal: Journal, wall_time: str) -> list[str]:
    """End every run that has no `run_stop`: its open triggers as lost, then itself as interrupted; returns their ids.

    The sums are those of the fields on record. Of a source that paced itself only these are known, so `triggers` counts them
    alone. Raises `JournalError` when a run's records cannot be understood.
    """
    ended = []
    for run_id in journal.runs():
        if journal.finished(run_id):
            continue
        start = parse_json(RunStart, journal.read(run_id, 0, 1)[0][1], f"record 0 of run {run_id}", JournalError)
        running, last_wall_time = _last_field(journal, run_id, journal.next_seq(run_id))
        running = _end_triggers(journal, run_id, running or Running(fields={}, cells={}, wbc_total=0), start, wall_time)
        fields, cells = running.fields, running.cells
        n_ended = sum(fields.values())
        triggers = journal.n_announced(run_id) or n_ended
        net = running.net and NetResult(
            replaced=running.net.replaced,
            fields=running.net.fields,
            cells=running.net.cells,
            differential=differential(running.net.cells),
        )
        before, sums = carried_into(journal, run_id, start.continues_run_id), running.net or running
        journal.append(
            RunStop(
                run_id=run_id,
                seq=journal.next_seq(run_id),
                wall_time=wall_time,
                outcome=RunOutcome.INTERRUPTED,
                detail=_DETAIL,
                triggers=triggers,
                fields=fields,
                sums_match=triggers == n_ended,
                cells=cells,
                differential=differential(cells),
                net=net,
                carried=before and before.with_run(run_id, sums.fields, sums.cells),
                slide=slide_result(held_by(journal), start, before.run_ids if before else ()),
                doubts=(*_doubts(journal, run_id), *(before.doubts() if before else ())),
                duration_s=_seconds_between(start.wall_time, last_wall_time or start.wall_time),
            )
        )
        ended.append(run_id)
    return ended


def _doubts(journal: Journal, run_id: str) -> tuple[str, ...]:
    """What the run had on record against its result when its edge ended, as its own end would have said it."""
    found: dict[str, None] = {}
    with suppress(LookupError):  # records that were acknowledged and forgotten
        for content in held_by(journal)(run_id):
            if content.startswith(_EVENT) and (said := _doubt_in(content)):
                found[said] = None
    return tuple(islice(found, MOST_DOUBTS))


def _doubt_in(content: bytes) -> str:
    try:
        said = json.loads(content).get("doubt")
    except ValueError:  # `leuko-edge runs verify` says of it what is to be said
        return ""
    return said if isinstance(said, str) else ""


def _end_triggers(journal: Journal, run_id: str, running: Running, start: RunStart, wall_time: str) -> Running:
    """Give every open trigger its field; returns the sums after them."""
    for trigger in journal.open_triggers(run_id):
        running = _with_lost(running, trigger)
        journal.append(
            FieldRecord(
                run_id=run_id,
                seq=journal.next_seq(run_id),
                wall_time=wall_time,
                trigger_id=trigger.trigger_id,
                replaces=trigger.replaces,
                field_index=trigger.field_index,
                status=FieldStatus.LOST,
                detail=_LOST,
                um_per_px=start.provenance.um_per_px,
                stage=trigger.stage,
                t_host_ns=0,
                running=running,
                counted=False,
            )
        )
    return running


def _with_lost(running: Running, trigger: TriggerCommand) -> Running:
    """A lost field takes no place; one that was to replace another leaves the net sums as they were, and makes them known."""
    net = running.net
    if trigger.replaces is not None:
        net = net or NetSums(replaced=0, fields=running.fields, cells=running.cells, wbc_total=running.wbc_total)
    elif net is not None:
        net = net.model_copy(update={"fields": _one_more(net.fields)})
    slide = running.slide and running.slide.model_copy(update={"same_cells": ()})
    return running.model_copy(update={"fields": _one_more(running.fields), "net": net, "slide": slide})


def _one_more(fields: dict[FieldStatus, int]) -> dict[FieldStatus, int]:
    return {**fields, FieldStatus.LOST: fields.get(FieldStatus.LOST, 0) + 1}


def _last_field(journal: Journal, run_id: str, next_seq: int) -> tuple[Running | None, str]:
    """Sums and time of the newest field on record."""
    for end in range(next_seq, 0, -_STEP):
        first = max(0, end - _STEP)
        for seq, content in reversed(journal.read(run_id, first, end - first)):
            if content.startswith(_FIELD):
                field = parse_json(FieldRecord, content, f"record {seq} of run {run_id}", JournalError)
                return field.running, field.wall_time
    return None, ""


def _seconds_between(start: str, end: str) -> float:
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
