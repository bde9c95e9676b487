"""The lock of the protocol version: made-up changes of a message, and whether its version allows them."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.published.lock import LOCK, LockError, changes, described, extended

PUBLISHED = json.loads((Path(__file__).parents[3] / "docs" / "schemas" / LOCK).read_text(encoding="utf-8"))
TEXT = {"type": "string"}
Change = Callable[[dict[str, Any]], Any]


def _record(now: dict[str, Any], model: str = "FieldRecord") -> dict[str, Any]:
    found: dict[str, Any] = now["from_edge"][model]
    return found


def _rename(now: dict[str, Any]) -> None:
    keys = _record(now)["keys"]
    keys["frame"] = keys.pop("frame_id")


def _new_message(direction: str) -> Change:
    message = {"keys": {"type": {"const": "LATER", "type": "string"}}, "required": ["type"]}
    return lambda now: now[direction].update({"Later": message})


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        pytest.param(
            lambda now: _record(now)["keys"].pop("detail"), "detail is gone", id="a key that may be missing is removed"
        ),
        pytest.param(
            lambda now: _record(now)["keys"].pop("status"), "status is gone", id="a key that must be there is removed"
        ),
        pytest.param(_rename, "frame_id is gone", id="a key is renamed"),
        pytest.param(lambda now: _record(now)["keys"].update(seq=TEXT), "seq was", id="another type"),
        pytest.param(lambda now: _record(now)["keys"]["seq"].update(minimum=1), "seq was", id="a narrower range"),
        pytest.param(lambda now: _record(now)["keys"]["overflow"].update(default=True), "overflow was", id="another default"),
        pytest.param(
            lambda now: _record(now, "StagePosition")["keys"].update(x_nm={"type": "integer"}), "x_nm was", id="inside a part"
        ),
        pytest.param(
            lambda now: _record(now)["required"].append("detail"), "detail is required", id="must be there from now on"
        ),
        pytest.param(
            lambda now: (_record(now)["keys"].update(new=TEXT), _record(now)["required"].append("new")),
            "new is required",
            id="a new key that must be there",
        ),
        pytest.param(lambda now: _record(now)["required"].remove("status"), "status was required", id="may be missing now"),
        pytest.param(lambda now: _record(now, "FieldStatus")["words"].append("late"), "its words", id="one more status"),
        pytest.param(lambda now: _record(now, "FieldStatus")["words"].remove("lost"), "its words", id="one status less"),
        pytest.param(
            lambda now: _record(now, "Advice")["keys"]["advice"]["enum"].append("go"), "advice was", id="one more advice"
        ),
        pytest.param(
            lambda now: _record(now, "Reject")["keys"]["code"]["anyOf"][0]["enum"].pop(), "code was", id="a code less"
        ),
        pytest.param(lambda now: _record(now, "Reject")["keys"].update(code=TEXT), "code was", id="no codes any more"),
        pytest.param(lambda now: now["from_edge"].pop("Advice"), "Advice is gone", id="a message is removed"),
        pytest.param(lambda now: now.pop("to_edge"), "Hello is gone", id="a direction is removed"),
        pytest.param(_new_message("from_edge"), "LATER is a new type", id="a record that no client knows"),
    ],
)
def test_a_version_does_not_allow(change: Change, clause: str) -> None:
    now = copy.deepcopy(PUBLISHED)
    change(now)
    found = changes(PUBLISHED, now)
    assert any(clause in each for each in found), found
    with pytest.raises(LockError, match="raise PROTOCOL_VERSION"):
        extended(PUBLISHED, now)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda now: _record(now)["keys"].update(grade={"type": "number", "default": 1.0}), id="a key that may be missing"
        ),
        pytest.param(lambda now: _record(now, "Reject")["keys"]["code"]["anyOf"][0]["enum"].append("later"), id="a code more"),
        pytest.param(_new_message("to_edge"), id="a command, which older edges refuse as unknown_type"),
        pytest.param(lambda now: now.update(another={"Later": _record(now, "Advice")}), id="another socket"),
    ],
)
def test_a_version_allows_and_locks_from_then_on(change: Change) -> None:
    now = copy.deepcopy(PUBLISHED)
    change(now)
    assert changes(PUBLISHED, now) == []
    lock = extended(PUBLISHED, now)
    assert lock != PUBLISHED
    assert changes(lock, PUBLISHED) != [], "what was added may not be taken away again"


def test_the_models_keep_to_the_lock() -> None:
    assert changes(PUBLISHED, described()) == []


def test_prose_is_not_locked() -> None:
    text = json.dumps(described())
    assert '"description"' not in text
    assert '"title"' not in text
