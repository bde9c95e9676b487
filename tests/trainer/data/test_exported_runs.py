"""What an edge has counted and people have reviewed is training data: the check of the trainer finds nothing wrong with it."""

from pathlib import Path

import pytest
from support.edge_here import leuko_edge
from support.overlapping_journal import recorded_journal

from edge.contracts.cells import INDEX
from edge.reports.opened_run import opened_run
from trainer.data.annotation import UNTYPED_WBC
from trainer.data.check.check_data import check_data
from trainer.data.groups import group_names
from trainer.data.readers.description import load_description

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("how", ["coco", "yolo"])
def test_an_exported_run_passes_the_check_with_the_labels_that_people_gave(tmp_path: Path, how: str) -> None:
    journal = recorded_journal(tmp_path)
    report = opened_run(journal, "run-a").report
    first, second = (cell for cell in report.counted_cells[:2])
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"cell,label,who\n{first.id},basophil,A\n{second.id},reject,A\n")
    assert leuko_edge("runs", "review", "run-a", "--csv", str(sheet), "--journal", str(journal)).code == 0
    out = tmp_path / "out"
    words = ["export", "run-a", "--journal", str(journal), "--as", how, "--out", str(out)]
    assert leuko_edge(*words).code == 0
    found, annotations = check_data(out / "datasets.yaml", out, "given", 0.13)
    assert [str(finding) for finding in found.findings] == []
    reviewed = opened_run(journal, "run-a").report
    wanted = sorted(
        UNTYPED_WBC if cell.label_now == "unidentified" else INDEX[cell.label_now]
        for cell in reviewed.cells
        if cell.label_now is not None
    )
    assert sorted(int(label) for one in annotations for label in one.labels) == wanted
    assert {one.um_per_px for one in annotations} == {0.13} and len(annotations) == len(report.fields)
    patterns = load_description(out / "datasets.yaml").group_patterns
    assert len(set(group_names(annotations, patterns))) == 1, "fields of one slide are never on both sides of a division"
