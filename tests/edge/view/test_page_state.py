"""What the page gets, for everything that a socket and a journal may know at a moment: always whole, always of one run."""

import json
from itertools import product

import pytest
from support.overlapping_journal import LAYOUT
from support.overlapping_run import overlapping_run

from edge.contracts.messages import Live
from edge.published.vectors_telemetry import TELEMETRY_VECTORS
from edge.view.followed_run import FollowedRun
from edge.view.heard import Heard
from edge.view.page_state import heard_state, run_state, whole_state

pytestmark = pytest.mark.timeout(60)


def heard(*names: str, run_id: str | None = None) -> Heard:
    one = Heard()
    for at, name in enumerate(names):
        message = TELEMETRY_VECTORS[name]
        assert isinstance(message, Live)
        one.hear(message.model_copy(update={"telemetry_seq": at, "boot_id": "b"} | ({"run_id": run_id} if run_id else {})), 0.0)
    return one


def followed(run_id: str, n_records: int | None = None) -> FollowedRun:
    one = FollowedRun(run_id)
    for record in overlapping_run(LAYOUT, run_id)[:n_records]:
        one.take(record)
    return one


HEARD = {
    "no socket": None,
    "silent": Heard(),
    "idle": heard("live_before_any_run"),
    "run-a": heard("live_before_any_run", "live", run_id="run-a"),
    "another run": heard("live", run_id="run-z"),
}
READ = {
    "no journal": None,
    "empty": (None, ""),
    "broken": (None, "journal x cannot be read."),
    "begun": (followed("run-a", 0), ""),
    "in its midst": (followed("run-a", 4), ""),
    "ended": (followed("run-a"), ""),
}


@pytest.mark.parametrize(("said", "known"), list(product(HEARD, READ)))
def test_every_moment_gives_a_whole_state(said: str, known: str) -> None:
    one, two = HEARD[said], READ[known]
    first = heard_state(one, "", "tcp://127.0.0.1:5571") if one is not None else None
    second = run_state(*two) if two is not None else None
    state = whole_state(first, second, may_review=False)
    json.dumps(state)
    has_run = two is not None and two[0] is not None and said != "another run"
    assert state["counts_from"] == ("journal" if has_run else "telemetry" if one and one.live else None)
    assert (state["run"] is not None) == has_run
    if known == "ended" and has_run:
        assert state["sums"]["cells"] == run_state(*READ["ended"])["sums"]["cells"]  # type: ignore[misc]
    assert state["sums"]["wbc_total"] == sum(row["count"] for row in state["sums"]["rows"])
    assert bool(state["alarms"]) or said not in {"silent"}
    assert any("No journal is read" in text for text in state["gaps"]) == (known == "no journal")
