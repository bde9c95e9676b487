"""The golden vectors, read from the published files as a client in another language would: by their index."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgpack
import pytest
from support.scripted_run import StartEdge
from support.wire import RawClient

from edge.published.directions import DIRECTIONS
from edge.stream.codec import MessageError, decode_to_edge, encode

FOLDER = Path(__file__).parents[3] / "docs" / "vectors"
INDEX: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
DIRECTION = {each.name: each for each in DIRECTIONS}
SCHEMA = {
    name: jsonschema.Draft202012Validator(json.loads((FOLDER.parent / "schemas" / f"{name}.schema.json").read_text("utf-8")))
    for name in DIRECTION
}
GOLDEN = [entry for entry in INDEX if entry["expect"] == "accept" and "same_as" not in entry]
NEWER = [entry for entry in INDEX if "same_as" in entry]
REFUSED = [entry for entry in INDEX if entry["expect"] == "reject"]
BY_THE_SESSION = {"protocol", "encoding"}
"""A HELLO that was understood, and is refused for what it asks."""


def _id(entry: dict[str, Any]) -> str:
    return str(entry["json"] or entry["msgpack"]).rsplit(".", 1)[0]


def _parts(entry: dict[str, Any]) -> dict[str, bytes]:
    return {key: (FOLDER / entry[key]).read_bytes() for key in ("json", "msgpack") if entry[key] is not None}


def test_the_index_and_the_files_are_the_same() -> None:
    named = [entry[key] for entry in INDEX for key in ("json", "msgpack") if entry[key] is not None]
    assert len(named) == len(set(named))
    assert {*named, "index.json"} == {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert len(GOLDEN) + len(NEWER) + len(REFUSED) == len(INDEX)


def test_every_type_has_a_vector() -> None:
    for direction in DIRECTIONS:
        assert {entry["type"] for entry in GOLDEN if entry["direction"] == direction.name} == direction.models.keys()


def _keys(document: dict[str, Any], above: str, found: dict[str, bool]) -> None:
    for key, value in document.items():
        name = f"{above}.{key}"
        found[name] = found.get(name, False) or value not in (None, "", [], {})
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _keys(each, name, found)


def test_every_key_has_a_value_in_one_of_them() -> None:
    """A client that was tested with nothing but null under a key has not read that key."""
    found: dict[str, bool] = {}
    for entry in GOLDEN:
        document = json.loads((FOLDER / entry["json"]).read_text(encoding="utf-8"))
        _keys(document, f"{entry['direction']} {entry['type']}", found)
    without = (
        "to_edge PONG.",  # only the edge's says more than the nonce and the time
        "from_edge run_start.settings.",  # each edge's own
        "from_edge field.detections.centre_stage.z_nm",  # a cell has the height of its field
    )
    assert [name for name, shown in found.items() if not shown and not name.startswith(without)] == []


@pytest.mark.parametrize("entry", GOLDEN, ids=_id)
def test_a_golden_vector_is_read_and_written_byte_for_byte_in_both_encodings(entry: dict[str, Any]) -> None:
    direction = DIRECTION[entry["direction"]]
    for encoding, part in _parts(entry).items():
        message = direction.decode(part)
        assert message == direction.vectors[entry["name"]]
        assert encode(message, "json" if encoding == "json" else "msgpack") == part
    assert json.loads(_parts(entry)["json"]) == msgpack.unpackb(_parts(entry)["msgpack"])


@pytest.mark.parametrize("entry", [*GOLDEN, *NEWER], ids=_id)
def test_an_accepted_vector_fits_the_published_schema(entry: dict[str, Any]) -> None:
    document = json.loads(_parts(entry)["json"])
    SCHEMA[entry["direction"]].validate(document)
    assert document["type"] == entry["type"]


@pytest.mark.parametrize("entry", NEWER, ids=_id)
def test_what_a_later_minor_version_adds_is_passed_over(entry: dict[str, Any]) -> None:
    direction = DIRECTION[entry["direction"]]
    for part in _parts(entry).values():
        message = direction.decode(part)
        if entry["same_as"] is not None:
            assert message == direction.vectors[entry["same_as"]]
        else:
            assert message.model_dump(warnings=False)["code"] == "later_code", "a code that is not known is still told"


@pytest.mark.parametrize("entry", [entry for entry in REFUSED if entry["code"] not in BY_THE_SESSION], ids=_id)
def test_what_must_be_refused_is_refused_by_the_codec_with_its_code(entry: dict[str, Any]) -> None:
    for part in _parts(entry).values():
        with pytest.raises(MessageError) as refused:
            decode_to_edge(part)
        assert refused.value.reject == entry["code"]
        assert len(str(refused.value)) < 700
        assert str(refused.value).isprintable(), "one line, whatever came in"


def test_a_running_edge_answers_each_of_them_with_its_code_and_goes_on(start_edge: StartEdge) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint) as client:
        for entry in REFUSED:
            for part in _parts(entry).values():
                client.socket.send(part)
                answer = client.receive()
                assert (answer["type"], answer["code"]) == ("REJECT", entry["code"]), entry["name"]
        assert client.hello()["type"] == "WELCOME"
