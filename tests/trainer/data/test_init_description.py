"""`leuko-train data init`: what a folder says of itself is written down, what it does not say is left to a person."""

from pathlib import Path

import pytest
from support.small_trainer import leuko_train
from support.tool_folders import NAMES, YOLO_LINE, coco, drawn, xml

from edge.contracts.errors import ConfigError, DataError
from trainer.data.init_description import TO_CHOOSE, guess, write_description

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param({"data.yaml": NAMES, "train/images/a.jpg": "", "train/labels/a.txt": YOLO_LINE}, "yolo", id="YOLO"),
        pytest.param({"a.jpg": "", "a.xml": xml("a.jpg")}, "voc", id="labelImg's VOC"),
        pytest.param(
            {
                "train/_annotations.coco.json": coco("a.jpg"),
                "train/a.jpg": "",
                "valid/_annotations.coco.json": coco("b.jpg"),
                "valid/b.jpg": "",
            },
            "coco",
            id="Roboflow's COCO",
        ),
        pytest.param(
            {"annotations/instances_default.json": coco("a.jpg"), "images/default/a.jpg": ""}, "coco", id="CVAT's COCO"
        ),
        pytest.param({"result.json": coco("images/a.jpg"), "images/a.jpg": ""}, "coco", id="Label Studio's COCO"),
        pytest.param({"WBC/a.jpg": "", "RBC/b.jpg": ""}, "class_folders", id="folders named by class"),
    ],
)
def test_what_it_writes_is_read_once_it_is_filled_in(
    tmp_path: Path, files: dict[str, str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(tmp_path, files)
    out = tmp_path / "ours.yaml"
    assert leuko_train("data", "init", tmp_path / "set", "--out", out) == 0
    assert f"is {kind};" in capsys.readouterr().err
    assert leuko_train("data", "check", "--data", out, "--root", tmp_path) == DataError.exit_code, "nobody chose yet"
    assert "`datasets.0.um_per_px` must be a number" in capsys.readouterr().err
    classes = tmp_path / "ours_classes.yaml"
    out.write_text(out.read_text().replace(f"um_per_px: {TO_CHOOSE}", "um_per_px: 0.13"))
    assert leuko_train("data", "check", "--data", out, "--root", tmp_path) == DataError.exit_code
    assert "to 'CHOOSE', which is no class" in capsys.readouterr().out.replace("\n", " ")
    filled = "untyped_wbc" if kind != "class_folders" else "background"
    classes.write_text(classes.read_text().replace(TO_CHOOSE, filled))
    assert leuko_train("data", "check", "--data", out, "--root", tmp_path) == 0, capsys.readouterr()


def test_nothing_is_overwritten_and_no_format_is_made_up(tmp_path: Path) -> None:
    drawn(tmp_path, {"a.jpg": "", "a.xml": xml("a.jpg")})
    write_description(tmp_path / "set", tmp_path / "data.yaml", 0.13)
    with pytest.raises(ConfigError, match="is there already"):
        write_description(tmp_path / "set", tmp_path / "data.yaml", 0.13)
    (tmp_path / "set" / "a.xml").unlink()
    with pytest.raises(DataError, match="holds no labels that are read"):
        write_description(tmp_path / "set", tmp_path / "other.yaml", None)


@pytest.mark.parametrize(
    ("name", "choice"),
    [("Lymphocyte", "lymphocyte"), ("Neutrophil-Band", "neutrophil_band"), ("monocytes", "monocyte"), ("WBC", TO_CHOOSE)],
)
def test_a_class_is_only_guessed_letter_for_letter(name: str, choice: str) -> None:
    assert guess(name) == choice
