"""`leuko-train fit` as a user types it: what it hands over, what it says, and what it refuses."""

import importlib.metadata
import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from support.small_model import Model
from support.small_trainer import RECIPE, Lab, leuko_train

from edge.contracts.bundle import load_bundle
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.cli import main
from trainer.data.compose.training_set import TrainingSet
from trainer.weights import pretrained

pytestmark = pytest.mark.timeout(120)


def test_the_command_is_installed() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="leuko-train")
    assert entry.load() is main


def test_fit_export_and_evaluate_hand_over_to_each_other(lab: Lab, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    training = load_bundle(model.bundle).manifest.training
    assert training.trained and training.seed == 5 and training.recipe["name"] == "small"
    assert sum(training.data["train_cells"].values()) == 9
    assert (training.metrics["images"], training.metrics["wbc"]["truth"]) == (3, 3)
    assert training.metrics["split_by"] == "grouped:0.2", (
        "what was held back of the training, not the data sets' own test split"
    )
    assert training.metrics["caution"] == ""
    assert load_bundle(model.bundle).manifest.name == model.bundle.name, "not the recipe's, which is another model's too"
    card = (model.bundle / "CARD.md").read_text(encoding="utf-8")
    assert "it cannot recognise: blast" in card and "must not be used for" in card
    assert leuko_train("evaluate", model.bundle, "--data", lab.description, "--root", lab.root, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["split_by"] == "grouped:0.2"
    del again["wbc"]["curve"]  # a bundle keeps the figures without their curves
    assert again["wbc"] == training.metrics["wbc"] and again["counting"] == training.metrics["counting"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["fit", "--recipe", "nope"], 2, "shipped are: adapt, ", id="unknown-recipe"),
        pytest.param(["fit", "--recipe", "{root}/typo.yaml"], 2, "`stepz` is not a known key", id="unknown-key-in-a-recipe"),
        pytest.param(["fit", "--set", "phases.0.stepz=3"], 2, "did you mean `phases.0.steps`", id="unknown-key-on-the-line"),
        pytest.param(
            ["fit", "--device", "tpu", "--data", "{root}/unmapped.yaml"], 2, "use auto, cpu or cuda", id="a-device-that-is-not"
        ),
        pytest.param(["fit", "--init", "{root}/no.weights"], 7, "no.weights are not there", id="missing-pretrained-weights"),
        pytest.param(["fit", "--init", "x", "--start-from", "y"], 2, "choose one of them", id="two-origins-of-the-weights"),
        pytest.param(["fit", "--splits", "holdout"], 2, "use train, val, test", id="a-split-that-is-not"),
        pytest.param(["fit", "--splits", "train,vla"], 2, "'vla' is no split", id="one-of-two-splits-misspelt"),
        pytest.param(["fit", "--start-from", "{root}/no.pt"], 7, "no.pt is not there", id="missing-weights-to-start-from"),
        pytest.param(["fit", "--seed", "-1"], 2, "`seed` must be at least 0", id="seed-below-0"),
        pytest.param(["fit", "--split-by", "random:0.1:-1"], 2, "is not known", id="a-split's-seed-below-0"),
        pytest.param(["fit", "--out", "{root}/used"], 2, "--resume", id="a-folder-in-use-is-not-overwritten"),
        pytest.param(["fit", "--resume", "--out", "{root}/typo"], 7, "typo/last.pt is not there", id="resume-of-nothing"),
        pytest.param(["fit", "--data", "{root}/unmapped.yaml"], 7, "absent.yaml", id="missing-class-map"),
        pytest.param(["fit", "--data", "{root}/nameless.yaml"], 7, "origin and licence of LAB", id="data-without-a-licence"),
        pytest.param(["export", "--out", "{root}/x"], 2, "either a checkpoint", id="export-of-nothing"),
        pytest.param(["export", "{root}/absent.pt", "--out", "{root}/x"], 7, "absent.pt is not there", id="missing-checkpoint"),
        pytest.param(
            ["export", "{root}/data.yaml", "--out", "{root}/x"], 7, "not a readable checkpoint", id="not-a-checkpoint"
        ),
        pytest.param(["export", "{root}/data.yaml", "--out", "{root}/used"], 3, "choose a new directory", id="an-out-in-use"),
        pytest.param(["evaluate", "{root}"], 3, "no bundle.json", id="not-a-bundle"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    lab: Lab,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    description = yaml.safe_load(lab.description.read_text())
    nameless = {"datasets": [{**description["datasets"][0], "folder": "absent"}]}
    unmapped = {**description, "datasets": [{**description["datasets"][0], "class_map": "absent.yaml"}]}
    (lab.root / "nameless.yaml").write_text(yaml.safe_dump(nameless))
    (lab.root / "unmapped.yaml").write_text(yaml.safe_dump(unmapped))
    (lab.root / "typo.yaml").write_text(yaml.safe_dump({**RECIPE, "stepz": 3}))
    (lab.root / "used").mkdir(exist_ok=True)
    (lab.root / "used" / "last.pt").touch()
    given = [a.replace("{root}", str(lab.root)) for a in arguments]
    if given[0] != "export":
        for option, value in (("--data", lab.description), ("--root", lab.root)):
            given += [] if option in given else [option, str(value)]
    if given[0] == "fit":
        given += [] if "--out" in given else ["--out", str(lab.root / "unused")]
        given += [] if "--recipe" in given else ["--recipe", str(lab.recipe)]
    assert leuko_train(*given) == code
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said


def test_an_interrupt_says_how_to_go_on_and_going_on_ends_the_training(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = TrainingSet.sample

    def interrupted(self: TrainingSet, index: int) -> object:
        if index == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingSet, "sample", interrupted)
        assert leuko_train(*lab.arguments(tmp_path)) == 130
    said = capsys.readouterr().err
    assert "stopped after 2 of 6 steps" in said and "--resume" in said
    assert leuko_train(*lab.arguments(tmp_path, "--resume", "--seed", "9")) == 7
    assert "`seed` 5 there, 9 here" in capsys.readouterr().err
    assert leuko_train(*lab.arguments(tmp_path, "--resume", "--set", "workers=0")) == 0
    said = capsys.readouterr().err
    assert re.search(r"small, 6 steps on CPU, \d+ threads?, float32", said) and "trained 6 steps" in said
    assert "images/s" in said and "waiting for data" in said
    rows = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    loss = [row["loss"] for row in rows if "loss" in row]
    assert [row["step"] for row in rows if "validation" in row] == [6] and "step 6, 2 held-back images: AP: any" in said
    assert f"{tmp_path / 'best.pt'}, the last in" in said and load_checkpoint(tmp_path / "best.pt").step == 6
    assert (tmp_path / "first_batches_phase1.jpg").exists() and (tmp_path / "first_batches_phase2.jpg").exists()
    told = f"loss {(loss[2] + loss[3]) / 2:.3g} at first, {(loss[4] + loss[5]) / 2:.3g} at last (means of 2 steps)"
    assert told in said, "this run's four steps"
    done = load_checkpoint(tmp_path / "last.pt")
    assert done.step == 6
    capsys.readouterr()
    assert leuko_train(*lab.arguments(tmp_path, "--resume")) == 0
    assert "has all its 6 steps" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "last.pt").seconds == done.seconds


ONE_STEP = ("--set", "phases=[{steps: 1, batch_size: 2}]")


def test_a_run_that_died_before_its_first_checkpoint_begins_anew(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "losses.jsonl").write_text('{"step": 1, "loss": 7.0}\n{"step": 2,')
    assert leuko_train(*lab.arguments(tmp_path, "--resume", *ONE_STEP)) == 0
    assert f"{tmp_path} holds no last.pt: the training starts from the beginning." in capsys.readouterr().err
    row, validation = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert row["step"] == 1 and row["loss"] != 7.0 and validation["validation"]["images"] == 2
    assert leuko_train(*lab.arguments(tmp_path, "--resume", *ONE_STEP)) == 0
    assert "from the beginning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        pytest.param("train,test", "no image is held back: all of", id="everything-is-trained-on"),
        pytest.param("train", "validated on 2 images of the split 'test' after the last step", id="two-images-are-left"),
    ],
)
def test_a_training_that_holds_no_image_back_says_so(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], splits: str, says: str
) -> None:
    assert leuko_train(*lab.arguments(tmp_path, "--splits", splits, *ONE_STEP)) == 0
    said = capsys.readouterr().err
    assert says in said
    assert ("--split-by grouped:0.2 holds back a fifth" in said) != (tmp_path / "best.pt").exists()


def test_better_weights_than_those_given_are_pointed_at(
    lab: Lab, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = model.checkpoint.best_so_far
    later = {**known, "last": {**known["last"], "step": 9, "loss": 99.0}, "since_best": 1}
    save_checkpoint(tmp_path / "last.pt", replace(model.checkpoint, best_so_far=later))
    shutil.copy(model.last.with_name("best.pt"), tmp_path / "best.pt")
    given = ("--data", lab.description, "--root", lab.root, "--json")
    assert leuko_train("evaluate", tmp_path / "last.pt", *given) == 0
    told = capsys.readouterr()
    assert f"{tmp_path / 'best.pt'} is there, too: on the images that the training was validated on, step 5" in told.err
    assert json.loads(told.out)["caution"] == ""
    assert leuko_train("evaluate", tmp_path / "best.pt", *given) == 0
    told = capsys.readouterr()
    assert "is there, too" not in told.err
    assert "chosen by validations on 3 of these 3 images" in json.loads(told.out)["caution"]
    assert leuko_train("evaluate", tmp_path / "beste.pt", *given) == 7
    assert f"beste.pt is not there; {tmp_path} holds best.pt and last.pt." in capsys.readouterr().err
    assert leuko_train("evaluate", tmp_path, *given) == 7
    assert f"{tmp_path} holds best.pt and last.pt." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        pytest.param(
            ["--splits", "train,test"], 2, "waits for better figures on images held back, and none is", id="for-nothing"
        ),
        pytest.param(["--split-by", "grouped:0.2"], 0, "ends after 1 without better ones", id="for-three-images"),
    ],
)
def test_patience_needs_images_held_back(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, says: str
) -> None:
    assert leuko_train(*lab.arguments(tmp_path, *ONE_STEP, "--set", "validation.patience=1", *more)) == code
    assert says in capsys.readouterr().err


def test_a_training_says_what_of_its_folders_it_does_not_use(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leuko_train(*lab.arguments(tmp_path / "all", *ONE_STEP)) == 0
    assert "not everything" not in capsys.readouterr().err
    copied = tmp_path / "copied"
    shutil.copytree(lab.root, copied)
    labels = next(copied.rglob("*.xml"))
    shutil.copy(labels, labels.with_name("lost.xml"))
    given = ["--root", copied, "--data", copied / lab.description.relative_to(lab.root), *ONE_STEP]
    assert leuko_train(*lab.arguments(tmp_path / "some", *given)) == 0
    said = capsys.readouterr().err
    assert said.count("lost.xml has no image") == 2, "at the beginning, and at the end where it is read"
    assert "`leuko-train data check --data" in said


def test_that_there_is_no_image_to_measure_on_is_said_before_the_export(
    lab: Lab, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trainer.export.export_bundle.graph_to_onnx", lambda *_: pytest.fail("it was exported"))
    given = ("--out", tmp_path / "x", "--data", lab.description, "--root", lab.root, "--split", "val")
    assert leuko_train("export", model.last, *given) == 2
    assert "is in split 'val' under --split-by grouped:0.2; choose another split" in capsys.readouterr().err


def test_pretrained_weights_are_set_and_named_in_the_checkpoint(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half(detector: torch.nn.Module, path: Path) -> list[str]:
        with torch.no_grad():
            detector.layers[0].conv.weight.fill_(0.5)
        return ["layers.0.conv.weight"]

    monkeypatch.setitem(pretrained.LOADERS, "darknet", half)
    file = tmp_path / "trunk.weights"
    file.write_bytes(b"trunk")
    changes = ("--init", file, "--set", "optimiser.peak_learning_rate=1e-9", "--set", "phases=[{steps: 1, batch_size: 2}]")
    assert leuko_train(*lab.arguments(tmp_path / "run", *changes)) == 0
    last = load_checkpoint(tmp_path / "run" / "last.pt")
    assert torch.allclose(last.model["layers.0.conv.weight"], torch.tensor(0.5), atol=1e-3)
    named = last.data["pretrained"]
    assert (named["format"], named["file"], named["tensors"], len(named["sha256"])) == ("darknet", "trunk.weights", 1, 64)
    said = capsys.readouterr().err
    assert "trunk.weights has set 1 of 5 layers; 4 begin at random: layers.1, layers.2, layers.3, head.1." in said
    assert "a checkpoint every 2 (`checkpoint_every_steps`)" in said and "trained 1 steps in" in said and " min" not in said


def test_a_class_left_out_trains_neither_cell_nor_ground(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leuko_train(*lab.arguments(tmp_path, "--set", "leave_out=[monocyte]", *ONE_STEP)) == 0
    checkpoint = load_checkpoint(tmp_path / "last.pt")
    cells = checkpoint.data["train_cells"]
    assert isinstance(cells, dict) and (cells["monocyte"], cells["lymphocyte"]) == (0, 5), "the other half of ten"
    assert checkpoint.recipe.leave_out == ("monocyte",)
    capsys.readouterr()
    assert leuko_train(*lab.arguments(tmp_path / "none", "--set", "leave_out=[macrophage]")) == 2
    assert "'macrophage' is no class" in capsys.readouterr().err
