"""What `export --as geojson` writes, held against RFC 7946 and against what QuPath takes.

QuPath's reader (`QuPathTypeAdapters`, 0.4 and newer) takes `name` and `objectType` as text, a classification as an object with
a `name` and a `color` of three whole numbers, measurements as an object of numbers, metadata as one of text, and coordinates as
pixels. Other properties it passes over; of another kind each of these would be an exception there.
"""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.overlapping_run import Layout, overlapping_run

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.reports import report_of
from edge.reports.geojson_cells import Unit, geojson_of
from edge.reports.run_report import Judgement, Report

pytestmark = pytest.mark.timeout(60)

POSITION = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
COLOUR = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 3, "maxItems": 3}
TEXT = {"type": "string", "minLength": 1}
QUPATH: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {"type": "string", "format": "uuid"},
                    "geometry": {
                        "type": "object",
                        "required": ["type", "coordinates"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "Polygon"},
                            "coordinates": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 4, "items": POSITION},
                            },
                        },
                    },
                    "properties": {
                        "type": "object",
                        "required": ["objectType", "name"],
                        "properties": {
                            "objectType": {"enum": ["annotation", "detection", "cell", "tile", "tmaCore"]},
                            "name": TEXT,
                            "color": COLOUR,
                            "isLocked": {"type": "boolean"},
                            "classification": {
                                "type": "object",
                                "required": ["name", "color"],
                                "properties": {"name": TEXT, "color": COLOUR},
                            },
                            "measurements": {"type": "object", "additionalProperties": {"type": "number"}},
                            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}
LABELS = (*(cell.name for cell in CELLS), UNIDENTIFIED, UNIDENTIFIED_NON_WBC)


def not_json(word: str) -> float:
    raise AssertionError(f"{word} is no JSON, and QuPath's parser refuses it")


def checked(report: Report, unit: Unit, only_field: int | None = None) -> list[dict[str, Any]]:
    """The features of the file, all of them as they should be."""
    content = json.loads(geojson_of(report, unit, only_field), parse_constant=not_json)
    wrong = [f"{list(each.absolute_path)}: {each.message}" for each in Draft202012Validator(QUPATH).iter_errors(content)]
    assert wrong == []
    for feature in content["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1], "a ring is closed"
        assert sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(ring)) != 0, "it encloses something"
    found: list[dict[str, Any]] = content["features"]
    return found


@settings(max_examples=12, deadline=None)
@given(
    st.builds(
        Layout,
        seed=st.integers(0, 99),
        columns=st.integers(1, 3),
        rows=st.integers(1, 2),
        overlap=st.sampled_from([0.0, 0.3]),
        turned_deg=st.sampled_from([0.0, 7.0, 90.0]),
        lost=st.sampled_from([0.0, 0.4]),
        replaced=st.sampled_from([0.0, 0.4]),
    ),
    st.sampled_from(["px", "um"]),
    st.lists(st.sampled_from([*LABELS, None]), min_size=1, max_size=20),
)
def test_any_run_gives_a_file_that_qupath_takes(layout: Layout, unit: Unit, labels: list[str | None]) -> None:
    records = overlapping_run(layout)
    said = {"verdict": "label", "who": 'Dr. "A"', "why": "", "wall_time": "2030"}
    cells = report_of(records).cells
    judged = {
        cell.id: Judgement.model_validate({**said, "number": at, "label": label})
        for at, (cell, label) in enumerate(zip(cells, labels, strict=False))
    }
    report = report_of(records, judged)
    found = checked(report, unit)
    kinds = [feature["properties"]["objectType"] for feature in found]
    assert kinds.count("detection") == sum(cell.label_now is not None for cell in report.counted_cells)
    assert {"annotation", "detection"} >= set(kinds)
    for one in report.fields[:2]:
        checked(report, unit, one.field_index)


def test_every_class_has_a_colour_of_its_own() -> None:
    from edge.reports.geojson_cells import _COLOURS

    assert set(_COLOURS) >= {cell.name for cell in CELLS} and len({tuple(each) for each in _COLOURS.values()}) == len(_COLOURS)
