"""The C client reads every golden vector exactly: as a reader without a schema, and into its typed records."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from edge.contracts import messages as m
from edge.contracts.base import Wire
from edge.contracts.messages import TELEMETRY
from edge.contracts.records import FieldRecord, FieldStatus, RunOutcome, RunStop
from edge.stream.codec import encode

VECTORS = Path(__file__).parents[3] / "docs" / "vectors"
INDEX: list[dict[str, Any]] = json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))
ACCEPTED = {entry["json"]: entry["direction"] for entry in INDEX if entry["expect"] == "accept"}
ADAPTERS: dict[str, TypeAdapter[Wire]] = {"to_edge": m.TO_EDGE, "from_edge": m.FROM_EDGE, "telemetry": TELEMETRY}
RECORD_TYPES = ["run_start", "field", "advice", "event", "run_stop"]
"""In the order of leuko.h."""

Values = dict[str, Any]


@pytest.fixture(scope="module")
def read_by_c(c_client: Path) -> dict[str, Values]:
    """Value per place, per vector."""
    command = [str(c_client / "vectors"), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    values: defaultdict[str, Values] = defaultdict(dict)
    for line in done.stdout.decode().split("\n")[:-1]:
        vector, place, value = line.split("\t")
        values[vector][place] = json.loads(value)
    return values


def whole(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """A model as dictionaries and lists, its 64-bit integers as integers: `model_dump` would make strings of them."""
    if isinstance(value, Wire):
        return {name: whole(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {whole(key): whole(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [whole(each) for each in value]
    return value.value if isinstance(value, Enum) else value


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """(place, value) of everything that holds nothing else."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, each in inner:
        yield from leaves(each, f"{place}.{key}".lstrip("."))
    if not inner:
        yield place, value


def typed(message: Wire) -> Values:
    """What struct leuko_record holds of it."""
    values = whole(message)
    kept = {key: values[key] for key in ("type", "run_id", "seq", "wall_time")}
    kept["type number"] = RECORD_TYPES.index(values["type"])
    if isinstance(message, FieldRecord):
        keys = ("trigger_id", "field_index", "frame_id", "source_name", "status", "detail", "t_host_ns", "t_camera_ns")
        kept |= {key: values[key] for key in (*keys, "counts", "counted", "overflow")}
        kept["running"] = {key: values["running"][key] for key in ("fields", "cells", "wbc_total")}
        kept["stage"] = {key: (values["stage"] or {}).get(key) for key in ("x_nm", "y_nm")}
        kept["status number"] = list(FieldStatus).index(message.status)
    if isinstance(message, RunStop):
        keys = ("outcome", "detail", "triggers", "fields", "cells", "sums_match", "duration_s")
        kept |= {key: values[key] for key in keys}
        kept["differential"] = {key: values["differential"][key] for key in ("wbc_total", "rows")}
        kept["outcome number"] = list(RunOutcome).index(message.outcome)
    return {f"@{place}": value for place, value in leaves(kept) if value not in ({}, [])}


@pytest.mark.parametrize("vector", ACCEPTED)
def test_every_value_of_every_vector_is_exact(read_by_c: dict[str, Values], vector: str) -> None:
    content = (VECTORS / vector).read_bytes()
    assert b"\n" not in content, "the consumer keeps records as they come, one a line"
    message = ADAPTERS[ACCEPTED[vector]].validate_json(content)
    read = {place: value for place, value in read_by_c[vector].items() if not place.startswith("@")}
    assert read.keys() == dict(leaves(json.loads(content))).keys()
    known = dict(leaves(whole(message)))
    # A vector may leave out keys that have a default; what is there has the model's value, 64-bit integers as integers.
    differing = {place: (read.get(place), value) for place, value in known.items() if place in read and read[place] != value}
    assert not differing
    assert known.keys() <= read.keys() or encode(message, "json") != content
    if ACCEPTED[vector] == "from_edge" and read["type"] in RECORD_TYPES:
        assert {place: value for place, value in read_by_c[vector].items() if place.startswith("@")} == typed(message)


def test_the_vectors_hold_what_doubles_would_round(read_by_c: dict[str, Values]) -> None:
    integers = {value for values in read_by_c.values() for value in values.values() if type(value) is int}
    assert {2**63 - 1, -(2**63), 2**53 + 1, 2**53 - 1} <= integers
    assert read_by_c.keys() == ACCEPTED.keys()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        pytest.param(
            '{"type":"field","t_host_ns":"9007199254740993.0"}', "t_host_ns is no exact 64-bit", id="no decimal integer"
        ),
        pytest.param('{"type":"PONG","nonce":"9223372036854775808"}', "nonce is no exact 64-bit integer", id="2^63"),
        pytest.param('{"type":"PONG","nonce":"007"}', "nonce was read as 7 and is 007", id="zeros in front"),
        pytest.param('{"type":"run_stop"', "it is no JSON object", id="no JSON"),
        pytest.param(None, "cannot be read", id="no such file"),
    ],
)
def test_a_vector_that_is_not_exact_is_found(c_client: Path, tmp_path: Path, record: str | None, says: str) -> None:
    (tmp_path / "index.json").write_text('[{"json":"one.json","type":"PONG","expect":"accept"}]')
    if record is not None:
        (tmp_path / "one.json").write_text(record)
    command = [str(c_client / "vectors"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert says in done.stderr
