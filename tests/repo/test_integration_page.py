"""docs/integration.md and operations.md: every code that the edge can send, every metric, and a walk that can be walked."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.event_codes import codes_in_the_code
from support.service_here import service

from edge.contracts.messages import FROM_EDGE, TO_EDGE, RejectCode, RejectedCode
from edge.contracts.records import Advice, FieldStatus, RunOutcome
from edge.contracts.stop_state import FlagName
from edge.pipeline.run_control import ServiceState

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.timeout(90)


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """First cell of each row below a heading, and the others, none of them empty."""
    body = page.split(f"\n{heading}\n")[1].split("\n#", maxsplit=1)[0]
    found = {}
    for line in body.splitlines():
        if cells := re.fullmatch(r"\| `([^`|]+)` \| (.*) \|", line):
            found[cells[1]] = [each.strip() for each in cells[2].split(" | ")]
    return found


@pytest.mark.parametrize(
    ("heading", "codes", "n_cells"),
    [
        pytest.param("### Statuses of a field", {each.value for each in FieldStatus}, 2, id="statuses"),
        pytest.param("### Outcomes of a run", {each.value for each in RunOutcome}, 2, id="outcomes"),
        pytest.param("### States of the service", set(get_args(ServiceState)), 2, id="states"),
        pytest.param("### REJECT: a message that could not be taken", set(get_args(RejectCode)), 2, id="REJECT"),
        pytest.param("### REJECTED: a command that was refused", set(get_args(RejectedCode)), 2, id="REJECTED"),
        pytest.param("### Advice", set(get_args(Advice.model_fields["advice"].annotation)), 2, id="advice"),
        pytest.param("### Events", codes_in_the_code(), 2, id="events"),
        pytest.param("### Flags of a result", set(get_args(FlagName)), 1, id="flags"),
    ],
)
def test_every_code_has_its_cause_and_what_the_controller_does(heading: str, codes: set[str], n_cells: int) -> None:
    found = rows(PAGE, heading)
    assert found.keys() == codes
    assert all(len(cells) == n_cells and all(cells) for cells in found.values())


def test_the_walk_through_that_is_shown_holds_messages_of_this_version() -> None:
    shown = re.findall(r"^([<>]) (\{.*\})$", PAGE, re.MULTILINE)
    assert {json.loads(text)["type"] for _, text in shown} >= {"HELLO", "WELCOME", "TRIGGER", "ACCEPTED", "field", "run_stop"}
    for direction, text in shown:
        if direction == ">":
            TO_EDGE.validate_json(text)
        elif json.loads(text)["type"] in {"ACCEPTED", "CREDIT"}:  # the others are cut
            FROM_EDGE.validate_json(text)


def test_the_walk_through_can_be_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        here.until("READY")
        here.controller.close()
        script = [sys.executable, str(ROOT / "examples" / "walk_through.py"), here.endpoint]
        done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        kinds = [json.loads(line[2:])["type"] for line in done.stdout.splitlines() if line.startswith("< ")]
        assert kinds.count("field") == 3 and kinds[-1] == "run_stop"


def test_every_metric_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        here.until("READY")
        with urllib.request.urlopen(f"http://{here.bench.settings['metrics']}/metrics", timeout=10) as answer:
            collected = list(text_string_to_metric_families(answer.read().decode()))
    names = {each.name for each in collected if each.name.startswith("leukostream_")}
    explained = set(re.findall(r"`(leukostream_\w+?)(?:_total)?[`{]", OPERATIONS))
    assert names and names - explained == set()
