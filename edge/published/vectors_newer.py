"""Vectors of a later minor version: keys and codes that version 1 does not know yet, and must not stumble over."""

from dataclasses import dataclass
from typing import Any

from edge.contracts.base import Wire
from edge.published.vector_parts import RUN
from edge.published.vectors_from_edge import FROM_EDGE_VECTORS
from edge.published.vectors_to_edge import TO_EDGE_VECTORS


@dataclass(frozen=True)
class Newer:
    """`document` as a later minor version writes it; `same_as` names the golden vector that a reader of today takes it for."""

    direction: str
    document: dict[str, Any]
    same_as: str | None


_FUTURE: dict[str, Any] = {
    "later_number": -1.5e-7,
    "later_text": "später: 後で",
    "later_nothing": None,
    "later_list": [{"type": "HELLO"}, [], {}],
}


def _with(message: Wire, **changed: object) -> dict[str, Any]:
    return {**message.model_dump(mode="json"), **changed, **_FUTURE}


_FIELD = FROM_EDGE_VECTORS["field"].model_dump(mode="json")
_START = FROM_EDGE_VECTORS["run_start"].model_dump(mode="json")

NEWER: dict[str, Newer] = {
    "hello": Newer("to_edge", _with(TO_EDGE_VECTORS["hello"]), "hello"),
    "hello_resume": Newer(
        "to_edge",
        _with(TO_EDGE_VECTORS["hello_resume"], resume={"run_id": RUN, "next_seq": 3, **_FUTURE}),
        "hello_resume",
    ),
    "trigger": Newer(
        "to_edge",
        _with(TO_EDGE_VECTORS["trigger"], stage={"x_nm": "12500000", "y_nm": "-3000000", **_FUTURE}),
        "trigger",
    ),
    "welcome": Newer("from_edge", _with(FROM_EDGE_VECTORS["welcome"]), "welcome"),
    "pong": Newer("from_edge", _with(FROM_EDGE_VECTORS["pong"]), "pong"),
    "run_start": Newer(
        "from_edge",
        _with(FROM_EDGE_VECTORS["run_start"], provenance={**_START["provenance"], **_FUTURE}),
        "run_start",
    ),
    "field": Newer(
        "from_edge",
        _with(
            FROM_EDGE_VECTORS["field"],
            detections=[{**each, **_FUTURE} for each in _FIELD["detections"]],
            running={**_FIELD["running"], **_FUTURE},
            times={**_FIELD["times"], "later_ms": 0.5},
        ),
        "field",
    ),
    "run_stop": Newer("from_edge", _with(FROM_EDGE_VECTORS["run_stop"]), "run_stop"),
    "reject_with_a_later_code": Newer("from_edge", _with(FROM_EDGE_VECTORS["reject"], code="later_code"), None),
    "rejected_with_a_later_code": Newer("from_edge", _with(FROM_EDGE_VECTORS["rejected"], code="later_code"), None),
}
"""Vector per file name."""
