"""The published protocol is that of the code: schemas, lock, golden vectors and AsyncAPI, file by file.

The JSON Schemas are schemas, and a message is known by its type.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge.contracts.base import Wire
from edge.published.directions import DIRECTIONS
from edge.published.lock import LOCK, LockError
from edge.published.published_files import published_files, schemas, stale_files, write_published

DOCS = Path(__file__).parents[3] / "docs"


def test_what_is_published_is_what_the_code_writes() -> None:
    files = published_files(DOCS)
    differing = [name for name, content in files.items() if not (DOCS / name).exists() or (DOCS / name).read_bytes() != content]
    assert differing == [], "run `make schemas`"
    assert stale_files(DOCS, files) == [], "run `make schemas`"


def test_writing_leaves_no_file_of_an_earlier_state_and_keeps_the_locks_of_older_versions(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "v0.lock.json").write_text("{}")
    (folder / "renamed_since.schema.json").write_text("{}")
    write_published(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert (folder / "v0.lock.json") in before
    assert (folder / "renamed_since.schema.json") not in before
    write_published(tmp_path)
    assert {path: path.read_bytes() for path in before} == before, "the same bytes again"


def test_a_broken_lock_stops_the_writing_before_the_first_file(tmp_path: Path) -> None:
    lock = tmp_path / "schemas" / LOCK
    lock.parent.mkdir()
    lock.write_text('{"from_edge":{"Gone":{"words":["a"]}}}')
    with pytest.raises(LockError, match="Gone is gone"):
        write_published(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [lock]


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
