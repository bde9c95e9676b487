"""What people say of cells: a sheet, its rows behind the records in a chain of their own, and what the result is then."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.edge_here import leuko_edge
from support.overlapping_journal import LAYOUT, example_journal, journal_of, tamper
from support.overlapping_run import overlapping_run

from edge.contracts.cells import NAMES
from edge.contracts.records import RunStop
from edge.journal.retention import Retention
from edge.journal.reviews import Review
from edge.journal.sqlite_journal import SqliteJournal
from edge.reports import report_of
from edge.reports.opened_run import opened_run
from edge.reports.review_sheet import SheetRow
from edge.reports.reviewing import new_reviews
from edge.reports.run_report import Judgement, Report

pytestmark = pytest.mark.timeout(120)
RUN = "run-a"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return example_journal(tmp_path / "journal.sqlite")


def review(journal: Path, text: str | bytes, run: str = RUN) -> tuple[int, str]:
    """Exit code, and everything that was said."""
    sheet = journal.with_name("review.csv")
    sheet.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = leuko_edge("runs", "review", run, "--csv", str(sheet), "--journal", str(journal))
    return done.code, done.out + done.err


def cells_of(journal: Path) -> Report:
    return opened_run(journal, RUN).report


def test_a_sheet_becomes_the_result_and_the_records_stay(journal: Path) -> None:
    before = cells_of(journal)
    first, second, third = [cell for cell in before.cells if cell.counts][:3]
    code, said = review(
        journal,
        f"cell,label,who,why\n{first.id},BA,Dr. A,granules\n{second.id},reject,Dr. A,a stain\n{third.id},confirm,Dr. A,\n",
    )
    assert (code, said.strip()) == (0, f"3 reviews of run {RUN} appended: 1 relabelled, 1 rejected, 1 confirmed")
    after = cells_of(journal)
    assert (before.state, after.state) == ("final", "reviewed")
    assert after.result.basis == "reviewed" and after.beside[0] == before.result
    assert after.result.cells["basophil"] == 1
    assert sum(after.result.cells.values()) == sum(before.result.cells.values()) - 1
    assert before.chain.last_link == after.chain.last_link and after.chain.reviews == 3
    verified = leuko_edge("runs", "verify", "--journal", str(journal))
    assert verified.code == 0 and f"3 reviews, last link {after.chain.last_review_link}" in verified.out


@pytest.mark.parametrize("text", [
    pytest.param("\ufeffCell;Label;Who;Why\r\n{id};basophil;B;\r\n", id="a spreadsheet of another country, with its mark"),
    pytest.param("who\tcell\tlabel\nB\t{id}\tBasophil\n", id="tabs, another order, without why"),
    pytest.param("cell,label,who,why,called\n\n{id},basophil,B,\"a, b\",x\n,,,,\n", id="quotes, empty lines, further columns"),
    pytest.param("cell,label,who\n{ID}, basophil ,B\n", id="blanks and capitals"),
])  # fmt: skip
def test_sheets_as_people_save_them(journal: Path, text: str) -> None:
    cell = cells_of(journal).counted_cells[0].id
    assert review(journal, text.replace("{id}", cell).replace("{ID}", cell.upper()))[0] == 0
    assert cells_of(journal).result.cells["basophil"] == 1


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param(
            "cell,label,who\nf99c0,monocyte,B\n", "line 2 judges cell 'f99c0', which the run does not have", id="no cell"
        ),
        pytest.param("cell,label,who\n0.1,monocyte,B\n", "judges cell '0.1'", id="what is no id of a cell"),
        pytest.param("cell,label,who\n{id},leucocyte,B\n", "'leucocyte', which is no class; use one of blast", id="no class"),
        pytest.param("cell,label,who\n{id},monocyte,\n", "does not say who says so", id="nobody says so"),
        pytest.param("cell,label,who\n{id},,B\n", "does not say a label, reject or confirm", id="nothing is said"),
        pytest.param("cell,label,who\n{id},monocyte,B\n{id},reject,B\n", "line 3 judges cell {id}, which line 2", id="twice"),
        pytest.param("cell,label,why\n{id},monocyte,B\n", "lacks the column 'who'", id="a column is missing"),
        pytest.param("cell,cell,label,who\n{id},{id},monocyte,B\n", "the column 'cell' twice", id="a column twice"),
        pytest.param("cell,label,who\n{id},monocyte\n", "has 2 columns where the first line has 3", id="a row cut short"),
        pytest.param('cell,label,who\n{id},"monocyte,B\n', "is not CSV", id="a quote that does not end"),
        pytest.param("", "lacks the column 'cell'", id="an empty file"),
        pytest.param("cell,label,who\n{id},,\n", "judges no cell", id="a sheet that nobody has filled"),
        pytest.param(b"cell,label,who\nf0c0,monocyte,J\xf6rg\n", "is not UTF-8 at byte 30", id="an older encoding"),
    ],
)
def test_a_row_that_cannot_be_taken_takes_none(journal: Path, text: str | bytes, wrong: str) -> None:
    cell = cells_of(journal).counted_cells[0].id
    code, said = review(journal, text.replace("{id}", cell) if isinstance(text, str) else text)
    assert code == 7 and wrong.replace("{id}", cell) in said and said.count("\n") == 1
    assert cells_of(journal).chain.reviews == 0


def test_what_is_said_again_is_not_kept_again(journal: Path) -> None:
    cell = cells_of(journal).counted_cells[0].id
    sheet = f"cell,label,who\n{cell},basophil,B\n"
    assert "1 reviews" in review(journal, sheet)[1]
    assert "0 reviews of run run-a appended: none; 1 stood already" in review(journal, sheet)[1]
    assert "1 reviews" in review(journal, sheet.replace(",B\n", ",C\n"))[1], "another person says so, too"


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        pytest.param("UPDATE records SET content = replace(content, 'field-', 'x') WHERE seq = 2", "record 2", id="a record"),
        pytest.param("DELETE FROM records WHERE seq = 3", "records 3 to 3 are missing", id="a record that is gone"),
        pytest.param("UPDATE reviews SET content = replace(content, 'basophil', 'monocyte')", "review 0", id="a review"),
        pytest.param("DELETE FROM reviews WHERE number = 0", "reviews 0 to 0 are missing", id="the first review is gone"),
    ],
)  # fmt: skip
def test_a_journal_that_somebody_has_changed_is_told_and_not_reviewed(journal: Path, statement: str, wrong: str) -> None:
    cells = [cell.id for cell in cells_of(journal).counted_cells[:2]]
    assert review(journal, f"cell,label,who\n{cells[0]},basophil,B\n{cells[1]},confirm,B\n")[0] == 0
    tamper(journal, statement.replace("content, ", "CAST(content AS TEXT), "))
    code, said = review(journal, f"cell,label,who\n{cells[1]},reject,B\n")
    assert code == 8 and wrong in said and "is not as it was written" in said and said.count("\n") == 1
    verified = leuko_edge("runs", "verify", "--journal", str(journal))
    assert verified.code == 8 and wrong in verified.out
    report = cells_of(journal)
    assert report.state == "provisional" and report.result.basis == "slide", "reviews of other records are not these cells'"


def test_a_run_that_has_not_ended_is_not_reviewed(tmp_path: Path) -> None:
    path = example_journal(tmp_path / "journal.sqlite", stop=False)
    code, said = review(path, "cell,label,who\nf0c0,confirm,B\n")
    assert code == 8 and "has not ended, and its cells may still change" in said and said.count("\n") == 1


def test_an_edge_that_writes_the_journal_does_not_hinder_a_review(journal: Path) -> None:
    cell = cells_of(journal).counted_cells[0].id
    edge = SqliteJournal(journal)
    edge.append(overlapping_run(LAYOUT, "other")[0])
    edge.settle()
    assert review(journal, f"cell,label,who\n{cell},basophil,B\n")[0] == 0
    edge.append(overlapping_run(LAYOUT, "other")[1])
    edge.settle()
    edge.close()
    assert cells_of(journal).state == "reviewed"
    assert leuko_edge("runs", "verify", "--journal", str(journal)).code == 0


def test_a_journal_of_an_older_version_can_be_reviewed(journal: Path) -> None:
    for table in ("reviews", "reports", "forgotten"):
        tamper(journal, f"DROP TABLE {table}")
    report = cells_of(journal)
    assert report.state == "final" and report.chain.reviews == 0
    assert review(journal, f"cell,label,who\n{report.counted_cells[0].id},confirm,B\n")[0] == 0
    SqliteJournal(journal).close()
    assert cells_of(journal).state == "reviewed"


VERDICTS = st.sampled_from([*NAMES, "reject", "confirm"])
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12)
ROWS = st.lists(st.tuples(st.integers(0, 60), VERDICTS, TEXTS, TEXTS), max_size=12)


@settings(max_examples=10, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_any_reviews_give_the_same_labels_again(
    tmp_path_factory: pytest.TempPathFactory, sheets: list[list[tuple[int, str, str, str]]]
) -> None:
    """What a model of one label a cell says after each row is what the journal's reviews say, read anew."""
    journal = example_journal(tmp_path_factory.mktemp("reviews") / "journal.sqlite")
    first = cells_of(journal)
    whole = {cell.id: cell.same_as or cell.id for cell in first.cells}
    sent = {cell.id: cell.label for cell in first.counted_cells}
    expected: dict[str, str | None] = dict(sent)
    for rows in sheets:
        opened = opened_run(journal, RUN)
        taken = {first.cells[at % len(first.cells)].id: (verdict, who, why) for at, verdict, who, why in rows}
        sheet = [
            SheetRow(
                2,
                cell,
                verdict if verdict in {"reject", "confirm"} else "label",
                None if verdict in {"reject", "confirm"} else verdict,
                who,
                why,
            )  # type: ignore[arg-type]
            for cell, (verdict, who, why) in taken.items()
        ]
        for row in sheet:
            cell = whole[row.cell]
            if row.verdict == "confirm":
                expected[cell] = expected[cell] or sent[cell]
            else:
                expected[cell] = row.label
        reviews = new_reviews(opened.report, sheet, "2030-01-01T00:00:00.000+00:00")
        from edge.journal.reviews import append_reviews

        append_reviews(journal, opened.stored, opened.reviews, reviews)
        again = cells_of(journal)
        assert {cell.id: cell.label_now for cell in again.counted_cells} == expected
    assert leuko_edge("runs", "verify", "--journal", str(journal)).code == 0


def ended(path: Path, run_id: str, *, unreported: bool = False) -> None:
    records = overlapping_run(LAYOUT, run_id)
    records[0] = records[0].model_copy(update={"settings": {"journal_keep_unreported": unreported}})
    journal_of(path, records)
    journal = SqliteJournal(path)
    assert isinstance(records[-1], RunStop)
    journal.acknowledge(run_id, records[-1].seq)
    journal.close()


def test_what_is_reviewed_or_waits_for_a_report_is_kept_and_what_is_gone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    ended(path, RUN)
    ended(path, "plain")
    ended(path, "unreported", unreported=True)
    assert review(path, f"cell,label,who\n{cells_of(path).counted_cells[0].id},confirm,B\n")[0] == 0
    nothing = Retention(0, 0)
    journal = SqliteJournal(path, retention=nothing)
    assert journal.runs() == [RUN, "unreported"]
    assert (journal.forgotten.run_ids, journal.forgotten.kept) == (("plain",), (RUN, "unreported"))
    journal.close()
    for command in (("runs", "show", "plain"), ("report", "pla"), ("runs", "review", "plain", "--csv", "x.csv")):
        done = leuko_edge(*command, "--journal", str(path))
        assert done.code == 8 and "run plain is gone from journal" in done.err and "8 records" in done.err
    out = tmp_path / "report.html"
    assert leuko_edge("report", "unreported", "--journal", str(path), "--html", str(out)).code == 0
    journal = SqliteJournal(path, retention=nothing)
    assert journal.runs() == [RUN]
    journal.close()


def test_a_review_is_one_json_object_with_all_that_was_said(journal: Path) -> None:
    cell = cells_of(journal).counted_cells[0]
    review(journal, f'cell,label,who,why\n{cell.id},basophil,Jörg,"a; b"\n')
    with closing(sqlite3.connect(journal)) as connection:
        ((content,),) = connection.execute("SELECT content FROM reviews").fetchall()
    said = json.loads(content)
    assert Review.model_validate(said) and said["wall_time"].endswith("+00:00")
    known = {key: said[key] for key in ("cell", "verdict", "old_label", "label", "who", "why")}
    assert known == {
        "cell": cell.id,
        "verdict": "label",
        "old_label": cell.label,
        "label": "basophil",
        "who": "Jörg",
        "why": "a; b",
    }


def test_of_two_views_of_a_cell_the_one_that_was_judged_last_says_what_it_is() -> None:
    report = report_of(overlapping_run(LAYOUT))
    view = next(cell for cell in report.cells if cell.same_as)
    said = {"verdict": "label", "who": "A", "why": "", "wall_time": "2030"}
    one, other = (
        Judgement.model_validate({**said, "number": n, "label": label}) for n, label in enumerate(("blast", "basophil"))
    )
    assert view.same_as is not None
    for judgements, label in (
        ({view.id: one, view.same_as: other}, "basophil"),
        ({view.id: other, view.same_as: one}, "basophil"),
    ):
        again = report_of(overlapping_run(LAYOUT), judgements)
        assert next(cell for cell in again.cells if cell.id == view.same_as).label_now == label
