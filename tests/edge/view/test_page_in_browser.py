"""The page as a person sees it, in a real browser: its numbers are the journal's, and text from outside is only ever text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import ABSENT, CHROMIUM, Browser, browser
from support.overlapping_journal import LAYOUT, journal_of, recorded_journal
from support.overlapping_run import overlapping_run
from support.served_page import served_page

from edge.contracts.records import Event, FieldRecord
from edge.reports.opened_run import opened_run

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)]
RUN = "run-a"
TOKEN = "a token of the tests"
HOSTILE = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}'


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as one:
        yield one


def counts_shown(tab: Browser) -> dict[str, int]:
    rows = "[...document.querySelectorAll('#counts tbody tr')]"
    script = f"Object.fromEntries({rows}.map(row => [row.dataset.label, +row.cells[1].innerText]))"
    shown: dict[str, int] = tab.value(script)
    return {label: n for label, n in shown.items() if n}


def test_its_counts_are_those_of_the_journal_and_a_person_can_correct_them(tab: Browser, tmp_path: Path) -> None:
    journal = recorded_journal(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    before = opened_run(journal, RUN).report
    with served_page("--journal", str(journal), "--token", str(token)) as page:
        tab.open(page.url)
        tab.until("document.body.dataset.outcome === 'completed' && document.querySelector('#map svg')")
        assert counts_shown(tab) == before.result.cells
        assert tab.text("#wbc") == str(before.result.differential.wbc_total)
        assert tab.value("document.querySelectorAll('#map rect.field').length") == len(before.fields)
        last = before.fields[-1]
        cells = [cell for cell in before.cells if cell.field_index == last.field_index]
        assert tab.value("document.querySelectorAll('#field rect.box').length") == len(cells) > 0
        tab.until("performance.getEntriesByType('resource').some(one => one.name.includes('/field/'))")
        assert (
            tab.value(
                f"fetch('/field/{last.field_index}?run={RUN}').then(r => r.blob()).then(createImageBitmap).then(b => b.width)"
            )
            == 732
        )
        judged = next(cell for cell in cells if cell.counts)
        at = cells.index(judged) + 1
        tab.until("document.querySelector('#review-label') && document.querySelectorAll('.reviewable').length")
        tab.until("verdicts.length")
        tab.click(f"#field rect:nth-of-type({at})")
        tab.until("document.querySelector('#review').open")
        assert tab.text("#review-cell") == judged.id
        said = f"by('review-label').value = 'basophil'; by('review-who').value = 'Dr. A'; by('review-token').value = '{TOKEN}x'"
        tab.value(said)
        tab.click("#review-give")
        tab.until("by('review-said').innerText.includes('not the one')")
        tab.value(said.replace("x'", "'"))
        tab.click("#review-give")
        tab.until("!document.querySelector('#review').open && document.querySelector('#about').innerText.includes('Dr. A')")
        after = opened_run(journal, RUN).report
        assert (after.state, after.result.cells["basophil"]) == ("reviewed", 1)
        assert after.chain.last_link == before.chain.last_link
        assert counts_shown(tab) == after.result.cells
        # And a cell that the model has missed, in the field before, where a person clicks.
        tab.until("!by('field-choice').hidden && !by('field-before').disabled")
        tab.click("#field-before")
        tab.until(f"by('field-name').innerText.startsWith('{last.field_index - 1},') && document.querySelector('svg.takes')")
        tab.value(
            "(svg => { const at = svg.getBoundingClientRect(); "
            "for (const kind of ['pointerdown', 'pointerup']) svg.dispatchEvent("
            "new PointerEvent(kind, { clientX: at.left + at.width / 2, clientY: at.top + at.height / 2 })); })"
            "(document.querySelector('#field svg'))"
        )
        tab.until("document.querySelector('#review').open")
        assert "as large as others" in tab.text("#review-place") and not tab.value(
            "by('review-label').innerHTML.includes('reject')"
        )
        tab.value("by('review-label').value = 'blast'")
        tab.click("#review-give")
        tab.until("document.querySelector('#field rect.added')")
        (added,) = (cell for cell in opened_run(journal, RUN).report.cells if cell.added)
        x1, _, x2, _ = added.box_px
        assert added.field_index == last.field_index - 1 and abs((x1 + x2) / 2 - 366) < 3 and added.label == "blast"
    tab.until("document.querySelector('#page-says').innerText.includes('has lost its server')")


def test_hostile_text_is_shown_as_text_and_nothing_is_asked_of_anybody_else(tab: Browser, tmp_path: Path) -> None:
    records = overlapping_run(LAYOUT, RUN)
    last = max(at for at, one in enumerate(records) if isinstance(one, FieldRecord))
    field = records[last]
    assert isinstance(field, FieldRecord)
    records[last] = field.model_copy(update={"detail": HOSTILE, "source_name": HOSTILE})
    event = Event(
        run_id=RUN, seq=len(records) - 1, wall_time=field.wall_time, severity="warning", code=HOSTILE, message=HOSTILE
    )
    stop = records[-1].model_copy(update={"seq": len(records), "detail": HOSTILE, "doubts": (HOSTILE,)})
    journal = journal_of(tmp_path / "journal.sqlite", [*records[:-1], event, stop])
    with served_page("--journal", str(journal)) as page:
        tab.requests.clear()
        tab.open(page.url)
        tab.until("document.body.dataset.outcome && document.querySelector('#map svg')")
        assert HOSTILE in tab.text("#field-said") and HOSTILE in tab.text("#field-name")
        assert (
            tab.value("[...document.querySelectorAll('#remarks td')].filter(one => one.innerText.includes('onerror')).length")
            >= 2
        )
        assert HOSTILE in tab.value("[...document.querySelectorAll('#map title')].at(-1).textContent")
        assert tab.value("window.hacked === undefined && document.scripts.length === 1")
        assert not [url for url in tab.requests if not url.startswith("http://127.0.0.1:")]
