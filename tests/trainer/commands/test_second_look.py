"""`leuko-train second-look`: from a bundle to one that looks twice, and back; one trained further keeps its second look."""

from pathlib import Path

import onnx
import pytest
import yaml
from onnx import numpy_helper
from support.small_model import Model
from support.small_trainer import Lab, leuko_train

from edge.contracts.bundle import MODEL, Bundle, Thresholds, load_bundle
from trainer.data.datasets import load_datasets
from trainer.data.provenance import describe
from trainer.evaluation.target import bundle_target
from trainer.second_look.carried_look import PREFIX

pytestmark = pytest.mark.timeout(240)

QUICK = ("steps=2", "crop_side_px=32", "batch_size=8", "bfloat16=false", "looks=3")


def look_again(lab: Lab, bundle: Path, out: Path, *more: object) -> int:
    changes = [word for change in QUICK for word in ("--set", change)]
    given = ("--data", lab.description, "--root", lab.root, "--out", out, "--threads", 1)
    return leuko_train("second-look", bundle, *given, *changes, *more)


@pytest.fixture(scope="module")
def child(lab: Lab, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("look") / "twice"
    assert look_again(lab, model.bundle, out, "--measure-on", lab.description, "--detect", "0.2") == 0
    assert [path.name for path in out.parent.iterdir()] == ["twice"], "no state is left"
    return load_bundle(out)


def test_the_bundle_says_what_looks_and_what_it_was_taught(model: Model, child: Bundle) -> None:
    parent, manifest = load_bundle(model.bundle), child.manifest
    look = manifest.second_look
    assert look is not None and (look.looks, look.crop_side_px, look.crop_um) == (3, 32, pytest.approx(8.32))
    assert look.taught == ("lymphocyte", "monocyte", "no_cell") and look.data["split_by"] == "given"
    assert manifest.parent_bundle_id == parent.bundle_id and manifest.training.data == parent.manifest.training.data
    assert (manifest.name, manifest.thresholds.detect, manifest.thresholds.identify) == ("twice", 0.2, 0.2)
    assert manifest.training.metrics["images"] == 3 and not manifest.training.metrics["caution"]
    card = (child.path / "CARD.md").read_text(encoding="utf-8")
    assert "Second look" in card and "lymphocyte, monocyte" in card


def test_it_saw_no_image_that_its_detector_held_back(model: Model, child: Bundle) -> None:
    look = child.manifest.second_look
    assert look is not None
    detector = str(child.manifest.training.data["train_images"])
    assert set(_keys(look.data["train_images"])) <= set(_keys(detector))
    assert bundle_target(child).look_images == look.data["train_images"]


def _keys(joined: str) -> list[str]:
    return [joined[k : k + 8] for k in range(0, len(joined), 8)]


def test_taken_out_again_the_detector_is_the_parent_to_the_last_bit(model: Model, child: Bundle, tmp_path: Path) -> None:
    assert leuko_train("second-look", child.path, "--remove", "--out", tmp_path / "alone") == 0
    alone, parent = load_bundle(tmp_path / "alone"), load_bundle(model.bundle)
    assert alone.manifest.files[MODEL] == parent.manifest.files[MODEL]
    assert alone.manifest.thresholds == Thresholds(), "those of both together do not fit one"
    assert alone.manifest.second_look is None and alone.manifest.parent_bundle_id == child.bundle_id


def test_trained_further_a_bundle_keeps_its_second_look(lab: Lab, child: Bundle, tmp_path: Path) -> None:
    steps = ("--set", "phases.0.steps=1", "--split-by", "grouped:0.2", "--device", "cpu")
    given = ("--data", lab.description, "--root", lab.root, "--out", tmp_path / "run", *steps)
    assert leuko_train("fit", "--start-from", child.path, *given) in {0, 10}
    exported = ("--out", tmp_path / "bundle", "--although-worse")
    assert leuko_train("export", tmp_path / "run" / "last.pt", *exported) == 0
    grandchild = load_bundle(tmp_path / "bundle")
    assert grandchild.manifest.second_look == child.manifest.second_look
    assert weights(grandchild) == weights(child) and len(weights(child)) > 10


def weights(bundle: Bundle) -> dict[str, bytes]:
    graph = onnx.load(bundle.model_path).graph
    return {t.name: numpy_helper.to_array(t).tobytes() for t in graph.initializer if t.name.startswith(PREFIX)}


def test_kept_it_is_the_same_network_and_the_graph_makes_something_else_of_it(
    lab: Lab, child: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ("--keep", "--out", tmp_path / "kept", "--identify", "0.3")
    assert leuko_train("second-look", child.path, *told, "--set", "agreement=0", "--set", "type_share=0.5") == 0
    kept, was = load_bundle(tmp_path / "kept"), child.manifest.second_look
    look = kept.manifest.second_look
    assert (
        look is not None
        and was is not None
        and (look.agreement, look.type_share) == (0.0, 0.5) != (was.agreement, was.type_share)
    )
    assert (look.looks, look.taught, look.data, look.recipe["steps"]) == (was.looks, was.taught, was.data, 2)
    assert look.recipe["type_share"] == 0.5 and kept.manifest.thresholds.identify == 0.3
    assert weights(kept) == weights(child) and kept.manifest.files[MODEL] != child.manifest.files[MODEL]
    assert leuko_train("second-look", child.path, "--keep", "--out", tmp_path / "no", "--set", "steps=9") == 2
    assert "`steps` is decided when a second look is taught" in capsys.readouterr().err


REFUSED = [
    pytest.param(("--keep",), "has no second look to keep", id="nothing-to-keep"),
    pytest.param(("--remove",), "has no second look", id="nothing-to-take-out"),
    pytest.param((), "give --data and --root", id="nothing-to-teach-it"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_what_makes_no_sense_is_said(
    model: Model, tmp_path: Path, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leuko_train("second-look", model.bundle, "--out", tmp_path / "out", *arguments) != 0
    assert sentence in capsys.readouterr().err


def test_images_for_evaluation_only_teach_nothing_unless_it_is_an_experiment(
    lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(lab.description.read_text(encoding="utf-8"))
    content["sources"]["LAB"]["use"] = "evaluation"
    content["datasets"][0]["class_map"] = str(lab.root / "classes.yaml")
    only = tmp_path / "only.yaml"
    only.write_text(yaml.safe_dump(content), encoding="utf-8")
    told = ("--data", only, "--root", lab.root, "--out", tmp_path / "out")
    assert leuko_train("second-look", model.bundle, *told) == 2
    assert "allows LAB for evaluation only" in capsys.readouterr().err
    assert leuko_train("fit", *told, "--recipe", lab.recipe, "--device", "cpu") == 2
    assert "allows LAB for evaluation only" in capsys.readouterr().err
    rows = load_datasets(only, lab.root)
    assert "experiment" not in describe(lab.description, rows)
    assert describe(lab.description, rows, experiment=only)["experiment"] is True


def test_an_unknown_key_of_the_recipe_is_named(
    lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look_again(lab, model.bundle, tmp_path / "out", "--set", "stepps=3") != 0
    assert "`stepps`" in capsys.readouterr().err
    assert look_again(lab, model.bundle, model.bundle, "--set", "steps=3") != 0
    assert "immutable" in capsys.readouterr().err
