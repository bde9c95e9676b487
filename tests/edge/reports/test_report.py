"""What a report says of a run: its state, the way of counting that stands, and a page that any text leaves whole."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlapping_run import Layout, overlapping_run
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.errors import JournalError
from edge.contracts.records import (
    Advice,
    Event,
    FieldQuality,
    FieldRecord,
    FieldStatus,
    Record,
    RunOutcome,
    RunStart,
    RunStop,
)
from edge.contracts.run_order import RunOrder
from edge.contracts.stop_state import StopReached, StopResult
from edge.reports import html_of, report_of
from edge.reports.run_report import Chain, Judgement

pytestmark = pytest.mark.timeout(60)
WALL = "2030-01-02T03:04:05Z"
BROKEN = Chain(is_whole=False, verdict="record 3 is not what was written", records=4)


def plain(n_fields: int = 3, outcome: RunOutcome | None = RunOutcome.COMPLETED) -> list[Record]:
    records: list[Record] = [run_start("r"), *(field_record("r", seq) for seq in range(1, n_fields + 1))]
    return records if outcome is None else [*records, run_stop("r", n_fields + 1, outcome)]


def judged(verdict: str = "confirm", label: str | None = "neutrophil_segmented") -> Judgement:
    return Judgement.model_validate({"number": 0, "verdict": verdict, "label": label, "who": "A", "why": "", "wall_time": WALL})


@pytest.mark.parametrize(
    ("records", "judgements", "chain", "state", "why"),
    [
        pytest.param(plain(), {}, None, "final", "", id="ended as it should"),
        pytest.param(plain(outcome=RunOutcome.STOPPED), {}, None, "final", "", id="a stop is an end as it should be"),
        pytest.param(plain(outcome=None), {}, None, "provisional", "has not ended", id="a run that goes on"),
        pytest.param(plain(0, None), {}, None, "provisional", "has not ended", id="not even a field"),
        pytest.param(plain(outcome=RunOutcome.INTERRUPTED), {}, None, "provisional", "interrupted", id="the edge went down"),
        pytest.param(plain(outcome=RunOutcome.FAILED), {}, None, "provisional", "failed", id="the source broke"),
        pytest.param(plain(), {}, BROKEN, "provisional", "record 3", id="records that were changed"),
        pytest.param(plain(), {"f0c0": judged()}, None, "reviewed", "", id="a person has looked"),
        pytest.param(
            plain(outcome=RunOutcome.FAILED), {"f0c0": judged()}, None, "provisional", "failed", id="looked at in vain"
        ),
    ],
)
def test_the_state_of_a_result(
    records: list[Record], judgements: dict[str, Judgement], chain: Chain | None, state: str, why: str
) -> None:
    report = report_of(records, judgements, chain)
    assert report.state == state and why in report.why and bool(report.why) == (state == "provisional")
    assert state in html_of(report)


def test_fields_that_failed_and_a_run_without_a_cell_are_reported_as_they_are() -> None:
    failed = [field_record("r", seq, FieldStatus.FAILED).model_copy(update={"counted": False}) for seq in (1, 2)]
    report = report_of([run_start("r"), *failed])
    assert report.result.cells == {"neutrophil_segmented": 2}, "what the records say stands"
    assert [one.code for one in report.remarks] == ["cells_disagree"]
    assert [field.detail for field in report.fields] == ["the file ends in the middle of its pixels"] * 2
    empty = report_of([run_start("r"), run_stop("r", 1)])
    assert empty.result.differential.rows == () and "no differential" in html_of(empty) and "no field" in html_of(empty)


def test_records_without_their_beginning_are_refused() -> None:
    with pytest.raises(JournalError, match="do not begin with a run_start"):
        report_of([field_record("r", 1)])
    with pytest.raises(JournalError, match="do not begin"):
        report_of([])


def test_where_fields_overlap_each_cell_once_stands_and_the_raw_sums_are_beside_it() -> None:
    records = overlapping_run(Layout(seed=5, overlap=0.4, cells=60))
    report = report_of(records)
    assert [report.result.basis, *(sums.basis for sums in report.beside)] == ["slide", "raw"]
    assert sum(report.result.cells.values()) < sum(report.beside[0].cells.values())
    counted = [cell for cell in report.cells if cell.counts]
    assert len(counted) == sum(report.result.cells.values())
    by_id = {cell.id: cell for cell in report.cells}
    assert all(by_id[cell.same_as].counts for cell in report.cells if cell.same_as)


def test_what_a_person_says_of_one_view_is_said_of_the_cell() -> None:
    records = overlapping_run(Layout(seed=5, overlap=0.4, cells=60))
    before = report_of(records)
    view = next(cell for cell in before.cells if cell.same_as is not None)
    stands = next(cell for cell in before.cells if cell.id == view.same_as)
    other = "basophil"
    after = report_of(records, {view.id: judged("label", other)})
    assert after.result.basis == "reviewed" and after.result.cells[other] == 1
    assert after.result.cells.get(stands.label, 0) == before.result.cells[stands.label] - 1
    assert after.beside[0] == before.result, "what was sent stays as it was"
    gone = report_of(records, {stands.id: judged("reject", None)})
    assert sum(gone.result.cells.values()) == sum(before.result.cells.values()) - 1


def test_what_a_person_should_look_at_follows_what_people_have_said() -> None:
    records = plain(3)
    before, after = report_of(records), report_of(records, {"f0c0": judged("label", "blast"), "f1c0": judged("label", "nrbc")})
    assert [flag.partition(" (")[0] for flag in before.flags] == ["too few"]
    assert [flag.partition(" (")[0] for flag in after.flags][:2] == ["blast", "nrbc"]
    assert any("times 0.667" in flag for flag in after.flags), "one nucleated red cell among two leukocytes"
    assert all(flag.partition(":")[0] in html_of(after).replace("&#x27;", "'") for flag in after.flags)


def test_the_order_s_smudge_policy_is_a_way_of_counting_beside_the_others() -> None:
    records = overlapping_run(Layout(seed=5, cells=60))
    start = records[0]
    assert isinstance(start, RunStart)
    report = report_of([start.model_copy(update={"order": RunOrder(smudges="lymphocytes")}), *records[1:]])
    (policy,) = (sums for sums in report.beside if sums.basis == "policy")
    smudges = report.result.cells["smudge"]
    assert policy.cells["lymphocyte"] == report.result.cells.get("lymphocyte", 0) + smudges
    assert policy.differential.wbc_total == report.result.differential.wbc_total + smudges


def test_what_became_of_the_stop_rule_and_of_bad_fields_is_said() -> None:
    records = overlapping_run(Layout(seed=5, cells=30))
    stop, at = records[-1], next(at for at, one in enumerate(records) if isinstance(one, FieldRecord))
    field = records[at]
    assert isinstance(stop, RunStop) and stop.slide is not None and isinstance(field, FieldRecord)
    reached = StopResult(
        final=StopReached(reason="leukocytes", field_index=4, wbc=20), wbc=23, overshoot_wbc=3, overshoot_fields=2
    )
    records[-1] = stop.model_copy(update={"slide": stop.slide.model_copy(update={"stop": reached})})
    records[at] = field.model_copy(update={"quality": FieldQuality(bad=("blurred",), left_out=False)})
    report = report_of(records)
    assert "leukocytes reached with field 4" in report.stop and report.stop in html_of(report)
    assert report.fields[0].bad == ("blurred",) and "blurred" in html_of(report)


class Balanced(HTMLParser):
    """Which tags are open; the text; and every address that a browser would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60), st.text(st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_no_text_of_a_record_becomes_a_part_of_the_page(one: str, other: str) -> None:
    nasty = f"</td><script>alert(1)</script>{other}"
    records = plain()
    event = Event(run_id="r", seq=9, wall_time=WALL, severity="warning", code="x", message=nasty)
    advice = Advice(run_id="r", seq=10, wall_time=WALL, advice="pause", reason=nasty)
    start = run_start("r", slide_id=nasty).model_copy(update={"sample_id": nasty})
    page = html_of(report_of([start, *records[1:-1], event, advice, records[-1]]))
    parsed = read(page)
    assert "<script" not in page and "alert(1)" in parsed.text


def test_the_page_needs_nothing_else() -> None:
    page = html_of(report_of(overlapping_run(Layout(lost=0.2, replaced=0.2))), {"lymphocyte": [b"\xff\xd8 not a real one"]})
    parsed = read(page)
    assert parsed.addresses and all(address.startswith("data:") for address in parsed.addresses)
    assert not re.search(r"@import|url\(", page)
    assert page.count('class="field"') == len(report_of(overlapping_run(Layout(lost=0.2, replaced=0.2))).fields)
