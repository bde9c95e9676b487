"""A report as one page that needs nothing else: no script, no network, its pictures inside."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from edge.reports.run_report import BASES, Report, ReportedSums
from edge.reports.svg_pictures import class_bars, ends_legend, field_map

Crops = Mapping[str, Sequence[bytes]]
"""JPEG files of cells, by label."""

_MOST_REMARKS = 200
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1c2430;max-width:1000px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.1em;margin:1.6em 0 .4em;border-bottom:1px solid #ccd3dd}
table{border-collapse:collapse}td,th{padding:.15em .9em .15em 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right}.state{display:inline-block;padding:.1em .6em;border-radius:.3em;color:#fff;background:#8a6d00}
.state.final{background:#1b6e3c}.state.reviewed{background:#1f4fa3}.mark{background:#fff1c9;padding:.4em .8em;margin:.3em 0}
.bad{background:#ffd9d6;padding:.4em .8em;margin:.3em 0}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif}
.grid{stroke:#e2e6ec}.bar{fill:#5b8def}.limits{stroke:#12203a;stroke-width:1.6;fill:none}.field{stroke:#fff;stroke-width:.4}
.legend span{margin-right:1.2em}.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.35em;vertical-align:-.1em}
.crops img{height:88px;margin:2px}code{font-size:.92em}@media print{body{margin:0}}
"""


def html_of(report: Report, crops: Crops | None = None) -> str:
    """The page. `crops` are pictures of cells to show with it, by label."""
    title = f"Run {report.run_id}"
    body = [
        f'<h1>{escape(title)} <span class="state {report.state}">{report.state}</span></h1>',
        *_warnings(report),
        _table(_about(report)),
        "<h2>Differential</h2>",
        f"<p>{report.result.differential.wbc_total} leukocytes, {escape(BASES[report.result.basis])}.</p>",
        class_bars(report.result.differential),
        _non_wbc(report.result),
        _flags(report.flags),
        "<h2>The same, counted in the other ways</h2>",
        _beside((report.result, *report.beside)),
        "<h2>Fields</h2>",
        field_map(report.fields),
        ends_legend(),
        _table([(status.value, str(n)) for status, n in report.field_ends.items()]),
        "<h2>Cells</h2>",
        _crops(crops or {}),
        "<h2>Events, advice, corrections, doubts</h2>",
        _remarks(report),
        "<h2>What this rests on</h2>",
        _table(_provenance(report)),
        "<p>leukostream is a demonstration and no medical device: no patient result may rest on this page.</p>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _warnings(report: Report) -> Iterable[str]:
    if report.why:
        yield f'<p class="bad">Provisional: {escape(report.why)}.</p>'
    if report.chain.is_whole is False:
        yield f'<p class="bad">The records are not whole: {escape(report.chain.verdict)}.</p>'
    for mark in report.marks:
        yield f'<p class="mark">{escape(mark)}</p>'


def _about(report: Report) -> list[tuple[str, str]]:
    rows = [
        ("slide", report.slide_id or "not named"),
        ("sample", report.sample_id or "not named"),
        ("began", report.began),
        ("ended", f"{report.ended}, {report.outcome}" if report.ended else "not ended"),
        ("detail", report.detail),
        ("stop", report.stop),
        ("continues run", report.continues_run_id or ""),
        ("reviewed", report.reviewed),
        ("records", f"{report.chain.records}, chain {report.chain.verdict}"),
    ]
    return [(name, value) for name, value in rows if value]


def _provenance(report: Report) -> list[tuple[str, str]]:
    known = report.provenance.model_dump(mode="json")
    rows = [(name.replace("_", " "), str(value)) for name, value in known.items() if value not in (None, {}, "")]
    rows.insert(0, ("profile", report.profile or "none"))
    links = [("last link of the records", report.chain.last_link), ("last link of the reviews", report.chain.last_review_link)]
    return rows + [(name, link) for name, link in links if link]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return f"<table>{''.join(f'<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>' for a, b in rows)}</table>"


def _non_wbc(sums: ReportedSums) -> str:
    shares = sums.differential.non_wbc_per_100_wbc
    if not shares:
        return ""
    said = ", ".join(f"{escape(label.replace('_', ' '))} {share:.1f}" for label, share in shares.items())
    return f"<p>Per 100 leukocytes: {said}.</p>"


def _flags(flags: Sequence[str]) -> str:
    return f"<h2>Flags</h2><ul>{''.join(f'<li>{escape(flag)}</li>' for flag in flags)}</ul>" if flags else ""


def _beside(all_sums: Sequence[ReportedSums]) -> str:
    labels = list(dict.fromkeys(label for sums in all_sums for label in sums.cells))
    head = "".join(f'<th class="n">{escape(BASES[sums.basis])}</th>' for sums in all_sums)
    rows = [
        f"<tr><th>{escape(label.replace('_', ' '))}</th>"
        + "".join(f'<td class="n">{sums.cells.get(label, 0)}</td>' for sums in all_sums)
        + "</tr>"
        for label in labels
    ]
    totals = "".join(f'<td class="n">{sums.differential.wbc_total}</td>' for sums in all_sums)
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}<tr><th>leukocytes</th>{totals}</tr></table>"


def _crops(crops: Crops) -> str:
    if not any(crops.values()):
        return "<p>No pictures of cells were kept (<code>--keep-crops</code>), or they are not here.</p>"
    parts = []
    for label, pictures in crops.items():
        images = "".join(
            f'<img alt="{escape(label)}" src="data:image/jpeg;base64,{base64.b64encode(one).decode()}">' for one in pictures
        )
        parts.append(f'<p>{escape(label.replace("_", " "))}</p><div class="crops">{images}</div>')
    return "".join(parts)


def _remarks(report: Report) -> str:
    if not report.remarks:
        return "<p>None.</p>"
    rows = [
        f"<tr><td>{escape(one.kind)}</td><td>{escape(one.severity)}</td><td>{escape(one.code)}</td><td>{escape(one.message)}</td></tr>"
        for one in report.remarks[:_MOST_REMARKS]
    ]
    more = len(report.remarks) - _MOST_REMARKS
    rest = f"<p>{more} more are in the JSON form.</p>" if more > 0 else ""
    return f"<table>{''.join(rows)}</table>{rest}"
