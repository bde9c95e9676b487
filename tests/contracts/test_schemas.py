"""The published JSON Schemas are those of the code, and describe what is really sent."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.messages import FROM_EDGE_EXAMPLES, TO_EDGE_EXAMPLES

from leukostream.edge.contracts.base import Wire
from leukostream.edge.schemas import schemas, write_schemas

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_published_schemas_are_those_of_the_code(tmp_path: Path) -> None:
    written = {path.name: path.read_bytes() for path in write_schemas(tmp_path)}
    published = {path.name: path.read_bytes() for path in PUBLISHED.iterdir()}
    assert written.keys() == published.keys(), "run `make schemas`"
    assert [name for name in written if written[name] != published[name]] == [], "run `make schemas`"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        *(pytest.param("to_edge", message, id=type(message).__name__) for message in TO_EDGE_EXAMPLES),
        *(pytest.param("from_edge", message, id=type(message).__name__) for message in FROM_EDGE_EXAMPLES),
    ],
)
def test_what_is_sent_fits_the_published_schema(direction: str, message: Wire) -> None:
    validator = jsonschema.Draft202012Validator(json.loads((PUBLISHED / f"{direction}.schema.json").read_text()))
    document: dict[str, Any] = json.loads(message.model_dump_json())
    validator.validate(document)
    del document["type"]
    assert not validator.is_valid(document), "a message without its type must not fit"
