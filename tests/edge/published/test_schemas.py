"""The JSON Schemas are schemas, and a message is known by its type."""

import json
from typing import Any

import jsonschema
import pytest

from edge.contracts.base import Wire
from edge.published.directions import DIRECTIONS
from edge.published.files import schemas


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        pytest.param(direction.name, message, id=f"{direction.name} {name}")
        for direction in DIRECTIONS
        for name, message in direction.vectors.items()
    ],
)
def test_a_message_without_its_type_does_not_fit_its_schema(direction: str, message: Wire) -> None:
    document: dict[str, Any] = json.loads(message.model_dump_json())
    del document["type"]
    assert not jsonschema.Draft202012Validator(schemas()[direction]).is_valid(document)
