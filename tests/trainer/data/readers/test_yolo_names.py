"""The numbers of YOLO labels mean what their files say, and what is in doubt is said."""

from pathlib import Path

import pytest
from support.tool_folders import NAMES, YOLO_LINE, drawn, read

from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_WBC

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("files", "numbers"),
    [
        pytest.param({"data.yaml": "names: {1: WBC, 2: MONOCYTE}"}, {1: UNTYPED_WBC, 2: INDEX["monocyte"]}, id="from 1"),
        pytest.param({"data.yaml": "names: {0: RBC, 7: MONOCYTE}\nnc: 8"}, {7: INDEX["monocyte"]}, id="with a gap"),
        pytest.param(
            {"data.yaml": "names: {" + ", ".join(f'"{k}": RBC' for k in range(10)) + ', "10": WBC, "11": MONOCYTE}'},
            {10: UNTYPED_WBC, 11: INDEX["monocyte"]},
            id="in quotes: 10 comes after 2",
        ),
        pytest.param({"classes.txt": "RBC\nWBC\n\n"}, {1: UNTYPED_WBC}, id="a list with a blank line at its end"),
        pytest.param(
            {"classes.txt": "RBC\nWBC\n", "data.yaml": "names: [RBC, WBC, MONOCYTE]"},
            {1: UNTYPED_WBC, 2: INDEX["monocyte"]},
            id="two files that agree as far as both go",
        ),
        pytest.param({"custom.yaml": "names: [WBC]"}, {0: UNTYPED_WBC}, id="another name of the file"),
    ],
)
def test_a_class_number_means_what_its_file_says(tmp_path: Path, files: dict[str, str], numbers: dict[int, int]) -> None:
    drawn(tmp_path, {**files, **{f"images/{k}.jpg": "" for k in numbers}})
    (tmp_path / "set" / "labels").mkdir()
    for number in numbers:
        (tmp_path / "set" / "labels" / f"{number}.txt").write_text(f"{number} 0.5 0.5 0.25 0.5\n")
    assert {int(row.original): row.labels.tolist() for row in read(tmp_path, "yolo")} == {k: [v] for k, v in numbers.items()}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param(
            {"data.yaml": "names: {1: WBC}"},
            "has the class 0, which no class name is given for",
            id="a number before the first",
        ),
        pytest.param(
            {"data.yaml": "names: [WBC, RBC]", "classes.txt": "RBC\nWBC\n"},
            r"class 0 is 'RBC' in \S+classes\.txt and 'WBC' in \S+data\.yaml",
            id="contradicted by a second file",
        ),
        pytest.param(
            {"data.yaml": "names: [WBC]", "labels/classes.txt": "RBC\n"}, "class 0 is 'RBC'", id="by one beside the labels"
        ),
        pytest.param({"data.yaml": "names: [WBC, RBC]\nnc: 3"}, "says nc: 3 and names 2 classes", id="a count that is wrong"),
        pytest.param({"data.yaml": "names: {0: WBC, '0': RBC}"}, "names class 0 twice", id="once in quotes"),
        pytest.param({"data.yaml": "names: {zero: WBC}"}, "the entry `zero: WBC`", id="a number in words"),
        pytest.param({"data.yaml": "names: {-1: WBC}"}, "the entry `-1: WBC`", id="a number below 0"),
        pytest.param({"data.yaml": "names: [[WBC]]"}, "the entry `0: ", id="a list in the list"),
        pytest.param({"data.yaml": "names: {}"}, "has no list `names`", id="no names"),
        pytest.param({"a.yaml": NAMES, "b.yaml": NAMES}, "both describe", id="two files of which neither is data.yaml"),
        pytest.param({"readme.md": "x"}, "has no data.yaml", id="no file"),
    ],
)
def test_class_names_in_doubt_are_said(tmp_path: Path, files: dict[str, str], says: str) -> None:
    drawn(tmp_path, {**files, "images/a.jpg": "", "labels/a.txt": YOLO_LINE})
    with pytest.raises(DataError, match=says):
        read(tmp_path, "yolo")
