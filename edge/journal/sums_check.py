"""Whether the records of a run that has ended are what its `run_stop` says of them: ends of fields, cells, places, triggers."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from edge.contracts.records import FieldStatus, NetResult
from edge.counting.places import Places

_FIELD, _STOP = b'{"type":"field"', b'{"type":"run_stop"'


def wrong_sums(contents: Iterable[bytes], announced: Sequence[str]) -> str:
    """What does not add up, in one sentence part; empty when all does, and for a run that has not ended.

    `contents` are the JSON bytes of all records in order, `announced` the triggers that were announced, if any. Records of
    older versions, which lack what came later, are held only against what they have.
    """
    ends: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    places, stop = Places(), dict[str, Any]()
    for content in contents:
        if content.startswith(_FIELD):
            field = json.loads(content)
            trigger_id, replaces = field["trigger_id"], field.get("replaces")
            ends[trigger_id] += 1
            statuses[field["status"]] += 1
            cells.update(field["counts"] if field["counted"] else {})
            refusal = None if replaces is None else places.claim(trigger_id, replaces, is_open=False)
            if refusal is not None:
                return f"field {field['field_index']} says that it replaces {replaces!r}, which it cannot: {refusal.reason}"
            places.ended(trigger_id, FieldStatus(field["status"]), field["counts"] if field["counted"] else None)
        elif content.startswith(_STOP):
            stop = json.loads(content)
    if not stop:
        return ""
    wrong = [name for name in announced if ends[name] != 1] + (sorted(ends.keys() - set(announced)) if announced else [])
    if wrong:
        return f"trigger {wrong[0]} was announced and has {ends[wrong[0]]} fields"
    if not stop["sums_match"]:
        return "its run_stop says itself that triggers and fields do not add up: a defect of the edge that wrote it"
    if Counter(stop["fields"]) != statuses or Counter(stop["cells"]) != +cells:
        n_cells = sum(stop["cells"].values())
        return f"its run_stop says {stop['fields']} and {n_cells} cells, its fields {dict(statuses)} and {cells.total()}"
    said = None if stop.get("net") is None else NetResult.model_validate(stop["net"])
    return "" if said == places.result() else "the net sums of its run_stop are not those of its fields"
