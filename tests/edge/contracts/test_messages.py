"""The wire: what is sent is what is read, 64-bit integers included; unknown keys pass here and nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edge.contracts.base import Int64, Wire
from edge.contracts.messages import FROM_EDGE, TO_EDGE, Ping, Reject
from edge.contracts.records import Differential, StagePosition
from edge.published.directions import DIRECTIONS
from edge.published.vectors_from_edge import FROM_EDGE_VECTORS

INT64: TypeAdapter[int] = TypeAdapter(Int64)


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        pytest.param(direction.adapter, message, id=f"{direction.name} {name}")
        for direction in DIRECTIONS
        for name, message in direction.vectors.items()
    ],
)
class TestEveryMessage:
    def test_comes_back_as_it_was_sent(self, adapter: TypeAdapter[Wire], message: Wire) -> None:
        assert adapter.validate_json(message.model_dump_json()) == message

    def test_starts_with_its_type(self, adapter: TypeAdapter[Wire], message: Wire) -> None:
        assert next(iter(json.loads(message.model_dump_json()))) == "type"

    def test_ignores_a_key_of_a_later_version(self, adapter: TypeAdapter[Wire], message: Wire) -> None:
        assert adapter.validate_python(message.model_dump() | {"key_of_a_later_version": 1}) == message

    def test_has_no_integer_that_a_json_parser_would_round(self, adapter: TypeAdapter[Wire], message: Wire) -> None:
        def check(value: object) -> None:
            if isinstance(value, dict):
                for inner in value.values():
                    check(inner)
            elif isinstance(value, list):
                for inner in value:
                    check(inner)
            elif isinstance(value, int):
                assert abs(value) < 2**53

        check(json.loads(message.model_dump_json()))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_integer_survives(x_nm: int, y_nm: int) -> None:
    position = StagePosition(x_nm=x_nm, y_nm=y_nm, z_nm=x_nm)
    assert json.loads(position.model_dump_json()) == {"x_nm": str(x_nm), "y_nm": str(y_nm), "z_nm": str(x_nm)}
    assert StagePosition.model_validate_json(position.model_dump_json()) == position


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(str(2**63), id="one over 64 bits"),
        pytest.param(str(-(2**63) - 1), id="one under 64 bits"),
        pytest.param("1e3", id="not decimal digits"),
        pytest.param("--5", id="two signs"),
        pytest.param("", id="empty"),
        pytest.param("9" * 5000, id="a number to choke on"),
        pytest.param(1.5, id="a fraction"),
        pytest.param(None, id="null"),
    ],
)
def test_what_is_no_64_bit_integer_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        INT64.validate_python(value)


def _field(**changed: object) -> dict[str, Any]:
    return FROM_EDGE_VECTORS["field"].model_dump(mode="json") | changed


def _detection(**changed: object) -> dict[str, Any]:
    return _field(detections=[_field()["detections"][0] | changed])


@pytest.mark.parametrize(
    ("adapter", "document"),
    [
        pytest.param(FROM_EDGE, _field(seq=-1), id="seq starts at 0"),
        pytest.param(FROM_EDGE, _field(seq=2**53), id="seq stays exact in every parser"),
        pytest.param(FROM_EDGE, _field(status="fine"), id="unknown status"),
        pytest.param(FROM_EDGE, _field(counts={"monocyte": -1}), id="fewer than no cells"),
        pytest.param(FROM_EDGE, _detection(score=1.1), id="score over one"),
        pytest.param(FROM_EDGE, _detection(presence=float("nan")), id="presence is not a number"),
        pytest.param(FROM_EDGE, _detection(box_px=[1, 2, 3]), id="half a box"),
        pytest.param(FROM_EDGE, _field(type="fields"), id="unknown type"),
        pytest.param(TO_EDGE, {"type": "HELLO", "client_id": ""}, id="a client without a name"),
        pytest.param(TO_EDGE, {"type": "HELLO", "client_id": "c" * 129}, id="a name without end"),
        pytest.param(TO_EDGE, {"type": "ACK", "run_id": "r", "upto_seq": -2, "send_until_seq": 0}, id="ack before nothing"),
        pytest.param(TO_EDGE, {"client_id": "c"}, id="no type"),
        pytest.param(TO_EDGE, _field(), id="a record in the wrong direction"),
        pytest.param(TO_EDGE, [], id="not an object"),
    ],
)
def test_a_message_out_of_bounds_is_refused(adapter: TypeAdapter[Wire], document: object) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(document)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("9007199254740993", id="a number"),
        pytest.param("true", id="true"),
        pytest.param('"\u0663"', id="digits of another script"),
    ],
)
def test_a_64_bit_integer_in_json_is_a_string_of_the_digits_0_to_9(value: str) -> None:
    with pytest.raises(ValidationError):
        INT64.validate_json(value)


@pytest.mark.parametrize("value", [pytest.param(float("nan"), id="not a number"), pytest.param(float("inf"), id="infinite")])
def test_what_json_cannot_hold_is_refused_where_a_record_is_made(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Differential(wbc_total=1, rows=(), non_wbc_per_100_wbc={"nrbc": value})


def test_an_edge_writes_only_the_codes_that_it_knows_and_a_client_reads_any() -> None:
    with pytest.raises(ValidationError):
        Reject(code="later", reason="")  # type: ignore[arg-type]
    assert Reject.model_validate_json('{"code":"later","reason":""}').code == "later"
    with pytest.raises(ValidationError):
        Reject.model_validate_json('{"code":1,"reason":""}')


def test_a_message_cannot_be_changed_after_it_was_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Ping(nonce=1, t_ns=2).nonce = 3  # type: ignore[misc]
