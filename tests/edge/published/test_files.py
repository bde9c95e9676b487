"""The published protocol is that of the code: schemas, lock, golden vectors and AsyncAPI, file by file."""

from pathlib import Path

import pytest

from edge.published.files import published_files, stale_files, write_published
from edge.published.lock import LOCK, LockError

DOCS = Path(__file__).parents[3] / "docs"


def test_what_is_published_is_what_the_code_writes() -> None:
    files = published_files(DOCS)
    differing = [name for name, content in files.items() if not (DOCS / name).exists() or (DOCS / name).read_bytes() != content]
    assert differing == [], "run `make schemas`"
    assert stale_files(DOCS, files) == [], "run `make schemas`"


def test_writing_leaves_no_file_of_an_earlier_state_and_keeps_the_locks_of_older_versions(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "v0.lock.json").write_text("{}")
    (schemas / "renamed_since.schema.json").write_text("{}")
    write_published(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert (schemas / "v0.lock.json") in before
    assert (schemas / "renamed_since.schema.json") not in before
    write_published(tmp_path)
    assert {path: path.read_bytes() for path in before} == before, "the same bytes again"


def test_a_broken_lock_stops_the_writing_before_the_first_file(tmp_path: Path) -> None:
    lock = tmp_path / "schemas" / LOCK
    lock.parent.mkdir()
    lock.write_text('{"from_edge":{"Gone":{"words":["a"]}}}')
    with pytest.raises(LockError, match="Gone is gone"):
        write_published(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [lock]
