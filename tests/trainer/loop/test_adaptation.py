"""`fit --start-from BUNDLE`: a child of a bundle, measured beside it; worse is never silent."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from support.small_model import Model
from support.small_trainer import Lab, leuko_train

from edge.contracts.bundle import load_bundle
from trainer.checkpoint import load_checkpoint
from trainer.evaluation.comparison import Comparison

pytestmark = pytest.mark.timeout(120)

SHORT = (
    "--set",
    "phases.0.steps=2",
    "--set",
    "phases.0.batch_size=2",
    "--set",
    "workers=0",
    "--set",
    "phases.0.field_fraction=1",
)
NO_DRAWING = ("--set", "compose.virtual=0", "--set", "compose.painted=0")


def arguments(lab: Lab, bundle: Path, out: Path, *more: object) -> list[str]:
    given = ("fit", "--start-from", bundle, "--data", lab.description, "--root", lab.root, "--out", out, "--device", "cpu")
    return [str(word) for word in (*given, *SHORT, *NO_DRAWING, *more)]


@pytest.fixture(scope="module")
def child(lab: Lab, model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """A training that started from the bundle, its exit code and what it said."""
    out = tmp_path_factory.mktemp("child")
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        from trainer.loop import adaptation

        original = adaptation.as_lines
        patch.setattr(adaptation, "as_lines", lambda *given: said.extend(original(*given)) or original(*given))
        code = leuko_train(*arguments(lab, model.bundle, out))
    return out, code, "\n".join(said)


def test_the_child_is_measured_beside_its_parent_and_names_it(
    lab: Lab, model: Model, child: tuple[Path, int, str], tmp_path: Path
) -> None:
    out, code, said = child
    parent = load_bundle(model.bundle)
    checkpoint = load_checkpoint(out / "last.pt")
    compared = Comparison.model_validate(checkpoint.data["compared"])
    assert compared == Comparison.model_validate_json((out / "comparison.json").read_bytes())
    assert (compared.images, compared.leukocytes, compared.typed) == (2, 2, 2)
    assert code == (10 if compared.worse else 0)
    assert "on 2 held-back images" in said and "are too few for such figures" in said
    assert checkpoint.recipe.architecture == "small" and checkpoint.recipe.statistics == "fixed"
    assert checkpoint.recipe.scale == model.checkpoint.recipe.scale, "the bundle's network, not the recipe's"
    bundle = tmp_path / "bundle"
    assert leuko_train("export", out / "last.pt", "--out", bundle, "--although-worse") == 0
    manifest = load_bundle(bundle).manifest
    assert manifest.parent_bundle_id == parent.bundle_id
    assert manifest.thresholds == parent.manifest.thresholds, "the parent's, until others are chosen"
    assert f"adapted from bundle `{parent.manifest.name}`" in (bundle / "CARD.md").read_text()


def test_the_normalisations_of_a_bundle_stay_as_they_are(child: tuple[Path, int, str]) -> None:
    weights = load_checkpoint(child[0] / "last.pt").model
    means = [value for name, value in weights.items() if name.endswith("running_mean")]
    assert len(means) == 4 and all(not mean.any() for mean in means)
    steps = [value for name, value in weights.items() if name.endswith("num_batches_tracked")]
    assert not torch.stack(steps).any()


def test_a_finished_training_says_again_what_it_said(lab: Lab, model: Model, child: tuple[Path, int, str]) -> None:
    out, code, _ = child
    assert leuko_train(*arguments(lab, model.bundle, out, "--resume")) == code


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        pytest.param(["--splits", "train,test"], 2, "is held back, and nobody could say", id="nothing-is-held-back"),
        pytest.param(["--set", "statistics=batch"], 2, "statistics of its batches would undo", id="statistics-of-batches"),
        pytest.param(["--recipe", "demo/ssd300-smin0.1"], 7, "does not fit Ssd300", id="another-network"),
        pytest.param(["--init", "x"], 2, "choose one of them", id="two-origins-of-the-weights"),
    ],
)
def test_what_cannot_be_compared_or_trained_is_refused(
    lab: Lab,
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    sentence: str,
) -> None:
    assert leuko_train(*arguments(lab, model.bundle, tmp_path / "run", *more)) == code
    assert sentence in capsys.readouterr().err


def test_a_slide_on_both_sides_is_refused(lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(lab.description.read_text())
    content["sources"]["LAB"]["group_by"] = "(field)_"
    content["datasets"][0]["class_map"] = str(lab.root / "classes.yaml")
    description = tmp_path / "one_slide.yaml"
    description.write_text(yaml.safe_dump(content))
    given = arguments(lab, model.bundle, tmp_path / "run")
    given[given.index(str(lab.description))] = str(description)
    assert leuko_train(*given) == 2
    assert "images of LAB/field are trained on and others of it held back" in capsys.readouterr().err


def test_going_on_with_another_start_is_refused(
    lab: Lab, model: Model, child: tuple[Path, int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(lab, model.last, child[0], "--resume", "--recipe", str(lab.recipe))
    assert leuko_train(*given) == 7
    assert "trained by another recipe" in capsys.readouterr().err


def test_labels_that_nobody_changed_train_nothing(
    lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "lab"
    shutil.copytree(lab.root, root)
    labels = sorted((root / "slides" / "Annotations").glob("*.xml"))
    hashes = {f"Annotations/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in labels}
    (root / "slides" / "preannotated.json").write_text(json.dumps(hashes))
    copied = Lab(root, root / "data.yaml", lab.recipe)
    assert leuko_train(*arguments(copied, model.bundle, tmp_path / "run")) == 2
    assert "no label of" in capsys.readouterr().err
    labels[0].write_text(labels[0].read_text() + "\n")
    assert leuko_train(*arguments(copied, model.bundle, tmp_path / "run", "--set", "phases.0.steps=1")) in (0, 10)
    assert "11 of 12 label files are as the model itself wrote them" in capsys.readouterr().err


def worse(checkpoint: Path, phrases: list[str]) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["data"]["compared"]["worse"] = phrases
    torch.save(content, checkpoint)


def test_a_worse_child_is_exported_only_when_that_is_said(
    model: Model, child: tuple[Path, int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = Path(shutil.copy(child[0] / "last.pt", tmp_path))
    worse(last, ["3 cells are lost and 1 gained"])
    assert leuko_train("export", last, "--out", tmp_path / "refused") == 7
    said = capsys.readouterr().err
    assert "is worse than bundle" in said and "3 cells are lost" in said
    content = torch.load(last, weights_only=True)
    del content["data"]["compared"]
    torch.save(content, last)
    assert leuko_train("export", last, "--out", tmp_path / "refused") == 7
    assert "was never compared" in capsys.readouterr().err


def test_a_learning_curve_is_drawn_and_gone_on_with(
    lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "curve"
    given = ["learning-curve", model.bundle, "--data", lab.description, "--root", lab.root, "--source", "LAB", "--out", out]
    given += ["--split-by", "grouped:0.3", *SHORT, *NO_DRAWING, "--device", "cpu", "--json"]
    assert leuko_train(*given, "--images", "0,2") == 0
    first = json.loads(capsys.readouterr().out)
    assert [point["images"] for point in first["points"]] == [0, 2]
    assert first["points"][0]["compared"]["gained"] == 0, "the bundle beside itself"
    written = (out / "002" / "last.pt").stat().st_mtime_ns
    assert leuko_train(*given, "--images", "0,2,4") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["points"][:2] == first["points"] and again["points"][2]["slides"] == 4
    assert (out / "002" / "last.pt").stat().st_mtime_ns == written, "it was not trained again"
    assert leuko_train(*given, "--images", "0,50") == 2
    assert "and 50 are asked for" in capsys.readouterr().err
    assert leuko_train(*given, "--images", "0,2", "--set", "seed=8") == 7
    assert "of another bundle, recipe, laboratory or division" in capsys.readouterr().err
