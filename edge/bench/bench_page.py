"""A measurement as a page: plots, the figures behind them and all conditions, in one file that loads nothing."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from edge.bench.bench_files import case_name
from edge.bench.bench_table import text_of
from edge.bench.drawing import bars, lines

_STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1a202c}"
    "pre{background:#f7fafc;padding:1em;overflow-x:auto;font-size:12px}.beware{background:#fefcbf;padding:.6em 1em}"
    "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #cbd5e0;padding:.2em .6em;text-align:left}"
)


def page_of(result: Mapping[str, Any]) -> str:
    """HTML of what `bench_edge` found."""
    parts = [f"<h1>leuko-edge bench, {escape(result['conditions']['measured_at'])}</h1>"]
    if result["doubt"]:
        parts.append(f'<p class="beware">Beware: {escape(result["doubt"])}</p>')
    for case in result["cases"]:
        parts += _case(case)
    parts.append(f"<h2>Figures</h2><pre>{escape(text_of(result))}</pre>")
    parts.append(f"<h2>Conditions</h2>{_conditions(result['conditions'])}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>leuko-edge bench</title><style>{_STYLE}</style>'
        f"</head><body>{''.join(parts)}</body></html>\n"
    )


def plain_page_of(title: str, text: str, conditions: Mapping[str, Any], drawn: str = "") -> str:
    """A page of a measurement that is told as text, with a plot where there is one."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{escape(title)}</h1>{drawn}<pre>{escape(text)}</pre><h2>Conditions</h2>{_conditions(conditions)}"
        "</body></html>\n"
    )


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>{escape(case_name(case))}</h2><p>{escape(case['engine'])}; bundle {case['bundle_id']}</p>"
    yield "<h3>Time per field (bar: median of rounds; line: p99 of one call or field)</h3>"
    rows = [(name, found["ms_per_field"], found["time_ms"]["p99"]) for name, found in case["contestants"].items()]
    yield bars(rows, "ms")
    staged = [
        found["stages_ms"] for name, found in case["contestants"].items() if name.startswith("edge") and found["stages_ms"]
    ]
    if staged:
        yield "<h3>Stages of the whole edge (bar: p50, line: p99)</h3>"
        yield bars([(name.removesuffix("_ms"), each["p50"], each["p99"]) for name, each in staged[-1].items()], "ms")
    paced = [run for run in case["paced"] if run["rate_per_s"]]
    if paced:
        yield "<h3>From the intended trigger to the record with the controller</h3>"
        deadlines = sorted({run["deadline_ms"] for run in paced})
        for key, title in (("latency_ms", "ms"), ("overshoot_fields", "fields past the 200th leukocyte's")):
            shares = ("p50", "p95", "p99") if key == "latency_ms" else ("mean", "max")
            series = [
                (
                    f"{share}, {deadline:g} ms",
                    [(run["rate_per_s"], run[key][share]) for run in paced if run["deadline_ms"] == deadline],
                )
                for deadline in deadlines
                for share in shares
            ]
            yield lines(series, "fields per second", title)


def _conditions(found: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value if isinstance(value, str) else json.dumps(value))}</td></tr>"
        for name, value in found.items()
    )
    return f"<table>{rows}</table>"
