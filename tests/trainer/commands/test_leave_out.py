"""Whole laboratories are held back: all sources of one leave together, and colours are moved to those of the ones that stay."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from support.small_trainer import RECIPE, leuko_train
from support.smears import smear, voc, write

from trainer.checkpoint import load_checkpoint
from trainer.evaluation.summary import Summary

pytestmark = pytest.mark.timeout(240)

SOURCES = {"north": 1.0, "north_more": 1.0, "south": 0.7}
"""How bright each source's camera is."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labs")
    datasets = []
    for number, (source, gain) in enumerate(SOURCES.items()):
        for k in range(6):
            name, at = f"{source}_{k}", 60 + 15 * k
            image = smear(240, 200, ((at, 90, 30),), seed=10 * number + k)
            write(root / source / "JPEGImages" / f"{name}.jpg", np.asarray(image * gain, np.uint8))
            voc(root / source, name, (240, 200), [("LYMPHOCYTE", (at - 30, 60, at + 30, 120))])
        datasets.append({"format": "voc", "folder": source, "class_map": "map.yaml", "source": source, "um_per_px": 0.13})
    write(root / "south" / "JPEGImages" / "empty.jpg", np.asarray(smear(240, 200, seed=99) * 0.7, np.uint8))
    voc(root / "south", "empty", (240, 200), [])
    (root / "map.yaml").write_text("LYMPHOCYTE: lymphocyte\n")
    origins = {name: {"origin": "drawn", "licence": "none", "laboratory": name.split("_")[0]} for name in SOURCES}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": datasets, "sources": origins}))
    (root / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    return root


def run(root: Path, out: Path, *more: str) -> int:
    steps = ["--set", "phases.0.steps=1", "--set", "phases.1.steps=1", "--rounds", "5", "--device", "cpu"]
    given = ["--data", str(root / "data.yaml"), "--root", str(root), "--recipe", str(root / "small.yaml"), "--out", str(out)]
    return leuko_train("crossvalidate", *given, *steps, "--leave-out", "laboratories", "--json", *more)


def test_sources_of_a_laboratory_leave_together(described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(described, tmp_path) == 0
    found = Summary.model_validate_json(capsys.readouterr().out)
    assert (found.images, found.split_by) == (19, "laboratories: north, south") and found.folds is not None
    plans = [load_checkpoint(tmp_path / f"fold{k}" / "last.pt").data["split_by"] for k in (0, 1)]
    assert plans == ["source:north+north_more", "source:south"]
    assert "--leave-out laboratories" in found.command and "--folds" not in found.command
    assert found.empty is not None and (found.empty.images, found.empty.fields) == (1, pytest.approx(0.114, abs=0.01))

    assert list(found.laboratories) == ["north", "south"] and found.laboratories["south"].images == 7
    south = found.laboratories["south"]
    assert (south.leukocytes, south.outside.images, south.um_per_px) == (6, 7, {"south": 0.13}) and south.empty == found.empty

    assert run(described, tmp_path, "--colours") == 0
    moved = Summary.model_validate_json(capsys.readouterr().out)
    assert moved.images == 19 and "--colours" in moved.command
    assert (tmp_path / "summary.json").is_file() and (tmp_path / "summary_colours.json").is_file()

    # One of them alone, each way of measuring it with a file of its own.
    assert run(described, tmp_path, "--laboratory", "south", "--scale", "--mirrored") == 0
    alone = Summary.model_validate_json(capsys.readouterr().out)
    assert (alone.images, alone.split_by, list(alone.laboratories)) == (7, "laboratories: south", ["south"])
    assert "--laboratory south --scale --mirrored" in alone.command
    assert (tmp_path / "summary_south_scale_mirrored.json").is_file()
    # By itself, one of the models gives its laboratory the same row.
    given = ["--data", str(described / "data.yaml"), "--root", str(described), "--bootstrap", "--rounds", "5", "--json"]
    assert leuko_train("evaluate", str(tmp_path / "fold1" / "last.pt"), *given, "--scale", "--mirrored") == 0
    again = Summary.model_validate_json(capsys.readouterr().out)
    assert again.laboratories == alone.laboratories and "--scale --mirrored" in again.command

    assert run(described, tmp_path, "--laboratory", "east") == 2
    assert "'east' is not described; there are north, south" in " ".join(capsys.readouterr().err.split())


def test_a_training_on_moved_colours_is_measured_on_moved_ones_only(
    described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = ("--set", "colours=moved", "--laboratory", "south")
    assert run(described, tmp_path, *moved) == 2
    assert "add --colours" in capsys.readouterr().err
    assert run(described, tmp_path, *moved, "--colours") == 0
    assert Summary.model_validate_json(capsys.readouterr().out).images == 7
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["fold1", "summary_south_colours.json"]
    given = ["--data", str(described / "data.yaml"), "--root", str(described)]
    assert leuko_train("evaluate", str(tmp_path / "fold1" / "last.pt"), *given) == 2
    assert "crossvalidate --colours" in capsys.readouterr().err


def test_a_laboratory_is_named_only_where_they_are_left_out(
    described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(described / "data.yaml"), "--root", str(described), "--out", str(tmp_path / "out")]
    assert leuko_train("crossvalidate", *given, "--laboratory", "south") == 2
    assert "add --leave-out laboratories" in capsys.readouterr().err


def test_one_laboratory_cannot_be_left_out(described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load((described / "data.yaml").read_text())
    for source in content["sources"].values():
        source["laboratory"] = "the only one"
    (described / "one.yaml").write_text(yaml.safe_dump(content))
    given = ["--data", str(described / "one.yaml"), "--root", str(described), "--out", str(tmp_path / "out")]
    assert leuko_train("crossvalidate", *given, "--leave-out", "laboratories") == 2
    assert "none can be left out" in capsys.readouterr().err


def test_a_model_that_knows_no_colours_is_said(described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leuko_train("export", "--random-weights", "--out", str(tmp_path / "random")) == 0
    given = ["--data", str(described / "data.yaml"), "--root", str(described), "--split-by", "source:south", "--colours"]
    assert leuko_train("evaluate", str(tmp_path / "random"), *given) == 2
    assert "leuko-train colours" in capsys.readouterr().err
