"""On a telephone a report is read by scrolling down alone; and one's own figures and pictures come before the reference's."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.made_up_summary import made_up

from trainer.reporting.report_sources import load_runs
from trainer.reporting.report_writer import sections_of, write_report

pytestmark = pytest.mark.timeout(90)

_LONG = "yolov3-tiny-416-trained-on-everything-that-we-have-2030-01-02"
_QUIET = ("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_MEASURE = """<body style="margin:0"><iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe><p></p><script>
onload = () => {{
  const page = document.querySelector('iframe').contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1);
  document.querySelector('p').textContent = JSON.stringify(
    {{page: root.scrollWidth - root.clientWidth, tables: wide.map(e => e.getAttribute('aria-label'))}});
}};
</script>"""


def _report(folder: Path, *names: str) -> Path:
    paths = []
    for name in names:
        models: list[dict[str, Any]] = [{"name": name, "architecture": "ssd300"}]
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(made_up(models=models)))
    return write_report(load_runs(paths), folder / "out", None)[0]


@pytest.mark.parametrize("width_px", [320, 390, 700])
@pytest.mark.parametrize("names", [("a",), ("a", "b", _LONG)], ids=["one model", "three, of which one has a long name"])
def test_nothing_runs_off_the_page(tmp_path: Path, names: tuple[str, ...], width_px: int) -> None:
    """Measured in a browser, where there is one."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here to measure with")
    page = _report(tmp_path, *names)
    (tmp_path / "measure.html").write_text(_MEASURE.format(page=page.as_uri(), width=width_px))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *_QUIET, "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=5000", "--dump-dom"]
    command.append((tmp_path / "measure.html").as_uri())
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)
    measured = re.search(r"<p>(\{.*?\})</p>", done.stdout)
    assert measured, done.stderr[-1000:]
    assert json.loads(measured[1]) == {"page": 0, "tables": []}


def test_each_figure_has_its_heading_for_where_there_is_no_head_row(tmp_path: Path) -> None:
    text = _report(tmp_path, "a").read_text(encoding="utf-8")
    assert text.count("<td ") == text.count('<td role="cell" data-head="') > 100
    assert text.count("<table ") == text.count('<table role="table" '), "a block is read as a table still"


def test_ones_own_comes_before_the_references(tmp_path: Path) -> None:
    _report(tmp_path, "a")
    titles = [section.title for section in sections_of(load_runs([tmp_path / "a.json"]), None)]
    about_others = [title.startswith("Beside the reference") for title in titles]
    assert about_others == sorted(about_others)
    assert titles[:3] == ["What was measured", "Finding and counting leukocytes", "Average precision by class"]
    assert titles.index("The worst errors") < about_others.index(True), "the pictures, too"
