"""The protocol page: its examples are messages of this version, and no type is without one."""

import re
from pathlib import Path
from typing import get_args
from unittest.mock import Mock

import pytest
from pydantic import TypeAdapter
from support.event_codes import codes_in_the_code

from edge.contracts import messages as m
from edge.contracts.base import Wire
from edge.service.self_report import OF_THE_CAMERA
from edge.stream.codec import encode
from edge.stream.inquiries import SelfReport

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def _examples(section: str) -> list[str]:
    """Lines of the JSON blocks of one section."""
    body = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line for block in re.findall(r"```json\n(.*?)```", body, re.DOTALL) for line in block.splitlines()]


def _types(union: object) -> set[str]:
    return {model.model_fields["type"].default for model in get_args(get_args(union)[0])}


@pytest.mark.parametrize(
    ("section", "adapter", "types"),
    [
        pytest.param("Messages to the edge", m.TO_EDGE, _types(m.ToEdge), id="to the edge"),
        pytest.param("Messages from the edge", m.FROM_EDGE, _types(m.FromEdge), id="from the edge"),
    ],
)
def test_every_example_is_exactly_what_the_code_writes(section: str, adapter: TypeAdapter[Wire], types: set[str]) -> None:
    shown = set()
    for line in _examples(section):
        message = adapter.validate_json(line)
        assert encode(message, "json").decode() == line
        shown.add(message.model_dump()["type"])
    assert shown == types, "each type has an example"


@pytest.mark.parametrize(
    ("model", "table"),
    [pytest.param(m.Reject, "REJECT code", id="REJECT"), pytest.param(m.Rejected, "REJECTED code", id="REJECTED")],
)
def test_every_code_is_explained(model: type[Wire], table: str) -> None:
    rows = PAGE.split(f"| {table} |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)) == set(get_args(model.model_fields["code"].annotation))


def test_every_event_code_is_listed_and_no_other() -> None:
    rows = PAGE.split("\n## Event codes\n")[1].split("\n## ")[0]
    listed = [code for row in re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(codes_in_the_code())
    assert set(listed) >= OF_THE_CAMERA


def test_the_words_of_query_are_explained() -> None:
    rows = PAGE.split("| `ask` | STATE has |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)) == SelfReport(None, Mock(), Mock()).words()
