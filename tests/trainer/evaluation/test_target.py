"""A checkpoint, and the bundle that is exported from it, are one model: they must be measured alike."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_model import Model
from support.small_trainer import Lab, leuko_train

from edge.contracts.bundle import Thresholds, load_bundle
from edge.contracts.errors import ConfigError, DataError, EngineError
from trainer.checkpoint import Checkpoint
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.provenance import image_key
from trainer.evaluation.detect import WARM_UP_IMAGES, ImageResult, results_of
from trainer.evaluation.measure import measure_split
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.summarise import summarise
from trainer.evaluation.summary_table import remarks
from trainer.evaluation.target import Target, bundle_target, checkpoint_target, target_of
from trainer.evaluation.torch_engine import TorchEngine

pytestmark = pytest.mark.timeout(120)

THRESHOLDS = Thresholds(detect=0.6, identify=0.2, margin=0.0)


@pytest.fixture
def checkpoint(model: Model) -> Checkpoint:
    return model.checkpoint


@pytest.fixture
def rows(lab: Lab, checkpoint: Checkpoint) -> list[Annotation]:
    """Drawn images annotated with what the model sees there, but for every fifth cell, and every third with another type:
    figures between 0 and 1."""
    changed = []
    for found in results_of(checkpoint_target(checkpoint, THRESHOLDS), load_datasets(lab.description, lab.root)):
        labels = found.counted.classes.copy()
        labels[::3] = (labels[::3] + 1) % 15
        kept = np.arange(len(labels)) % 5 > 0
        changed.append(replace(found.annotation, boxes_px=found.counted.boxes_px[kept], labels=labels[kept]))
    return changed


def measured(target: Target, rows: list[Annotation]) -> list[ImageResult]:
    return list(results_of(target, rows))


def test_a_checkpoint_and_its_bundle_give_the_same_figures(model: Model, rows: list[Annotation]) -> None:
    checkpoint, bundle_folder = model.checkpoint, model.bundle
    ours = summarise(measured(checkpoint_target(checkpoint, THRESHOLDS), rows), THRESHOLDS.detect)
    exported = summarise(measured(bundle_target(load_bundle(bundle_folder), "f32"), rows), THRESHOLDS.detect)
    assert ours.map is not None and 0.1 < ours.map < 0.9  # else this compares nothing
    assert ours.wbc.ap is not None and ours.wbc.truth > 200
    assert exported.map == pytest.approx(ours.map, abs=0.02)
    assert exported.wbc.ap == pytest.approx(ours.wbc.ap, abs=0.02)
    assert exported.counting.counted == pytest.approx(ours.counting.counted, abs=2)
    counts = (np.array(one.confusion_all.counts) for one in (ours, exported))
    assert np.abs(np.subtract(*counts)).sum() <= 4
    assert [one.time_ms.engine.n for one in (ours, exported)] == [len(rows) - WARM_UP_IMAGES] * 2
    assert ours.time_ms.on[0].startswith("torch") and exported.time_ms.on[0].startswith("OpenVINO")


def test_a_path_names_a_bundle_or_a_checkpoint(model: Model, tmp_path: Path) -> None:
    trained, exported = target_of(model.last), target_of(model.bundle)
    assert (trained.model.bundle_id, trained.model.training_s) == (None, 12.0)
    assert exported.model.bundle_id == load_bundle(model.bundle).bundle_id
    assert exported.engine_options == ()
    assert target_of(model.bundle, engine="openvino").engine_options == ("--engine", "openvino")
    assert exported.thresholds == THRESHOLDS and trained.thresholds == Thresholds()
    with pytest.raises(ConfigError, match=r"last\.pt is computed in f32"):
        target_of(model.last, "bf16")
    with pytest.raises(ConfigError, match="computed by torch; export it"):
        target_of(model.last, engine="tensorrt")
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        target_of(tmp_path / "notes.txt")


def test_a_summary_says_what_was_measured_and_how_to_repeat_it(lab: Lab, checkpoint: Checkpoint) -> None:
    target = checkpoint_target(replace(checkpoint, data={}), THRESHOLDS)
    summary = measure_split(target, lab.description, lab.root, "test")
    assert (summary.images, summary.split, summary.split_by, summary.source) == (2, "test", "given", None)
    assert summary.engine.startswith("torch") and summary.models == (target.model,)
    assert "--split test" in summary.command and str(lab.root) not in summary.model_dump_json()
    assert "--precision" not in summary.command
    with pytest.raises(ConfigError, match=r"no image of .* is in split 'val'"):
        measure_split(target, lab.description, lab.root, "val")


def test_where_nothing_is_test_val_is_measured_on_and_said(
    lab: Lab, checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual YOLO folder has train and val only."""
    shutil.copytree(lab.root, tmp_path / "lab")
    lists = tmp_path / "lab" / "slides" / "ImageSets" / "Main"
    (lists / "test.txt").rename(lists / "val.txt")
    target = checkpoint_target(replace(checkpoint, data={}), THRESHOLDS)
    summary = measure_split(target, tmp_path / "lab" / lab.description.name, tmp_path / "lab", None)
    assert (summary.images, summary.split) == (2, "val")
    assert "is in the split 'test'; measured is on 'val', 2 images" in capsys.readouterr().err
    assert measure_split(target, lab.description, lab.root, None).split == "test"
    assert "measured is on" not in capsys.readouterr().err


def test_the_precision_that_was_asked_for_is_asked_for_again(
    lab: Lab, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--data", lab.description, "--root", lab.root, "--precision", "f32", "--json")
    assert leuko_train("evaluate", model.last, *given) == 0
    assert json.loads(capsys.readouterr().out)["command"].endswith("--split test --precision f32")


def test_a_checkpoint_is_computed_where_the_user_says(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert checkpoint_target(checkpoint, device="cpu").open(96, 96).info.device == "CPU"
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert checkpoint_target(checkpoint).open(96, 96).info.device == "CPU"
    with pytest.raises(ConfigError, match="use --device cpu"):
        checkpoint_target(checkpoint, device="cuda").open(96, 96)


GIVEN, GROUPED = {"split_by": "given", "splits": ["train"]}, {"split_by": "grouped:0.2", "splits": ["train", "val"]}


@pytest.mark.parametrize(
    ("data", "split_by", "splits", "says"),
    [
        pytest.param(GIVEN, "given", ["test"], None, id="held-back"),
        pytest.param(GIVEN, "given", ["test", "train"], "trained on images of train", id="the-training-images"),
        pytest.param(GROUPED, "grouped:0.2", ["val"], "trained on images of val", id="val-was-trained-on-too"),
        pytest.param(
            GROUPED, "given", ["test"], "under --split-by grouped:0.2 and measured under given", id="another-division"
        ),
        pytest.param(GIVEN, "fold:0/5", ["test"], "may know these images", id="a-fold-of-a-model-of-no-folds"),
        pytest.param(
            {**GIVEN, "started_from": {"data": GROUPED}}, "given", ["test"], "grouped:0.2", id="the-weights-it-started-from"
        ),
        pytest.param({}, "given", ["test"], None, id="first-checkpoints-say-nothing"),
    ],
)
def test_figures_on_images_it_may_have_seen_say_so(
    checkpoint: Checkpoint, data: dict[str, object], split_by: str, splits: list[str], says: str | None
) -> None:
    caution = checkpoint_target(replace(checkpoint, data=data)).caution([], split_by, splits)
    assert says in caution if says else caution == ""


def test_a_model_is_measured_on_what_its_training_held_back(lab: Lab, checkpoint: Checkpoint) -> None:
    target = checkpoint_target(replace(checkpoint, data=GROUPED))
    summary = measure_split(target, lab.description, lab.root, "test", "LAB", None, EvaluationSettings(dense_from=3))
    assert (summary.images, summary.split_by, summary.caution) == (3, "grouped:0.2", "")
    assert summary.command.endswith("--root DIR --split-by grouped:0.2 --split test --source LAB --dense-from 3")
    known = measure_split(target, lab.description, lab.root, "test", split_by="given")
    assert "may know these images" in known.caution and known.caution in remarks(known)


def test_a_model_recognises_the_images_it_was_trained_on_under_any_name(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Folds are drawn over all images of a description: those of another description hold back other images."""
    images = [tmp_path / name for name in ("a.png", "b.png", "copy_of_a.png")]
    for path, content in zip(images, (b"a", b"b", b"a"), strict=True):
        path.write_bytes(content)
    data = {"split_by": "fold:0/5", "splits": ["train"], "train_images": image_key(images[0])}
    target = checkpoint_target(replace(checkpoint, data=data))
    assert "trained on 1 of these 2 images" in target.caution(images[1:], "fold:0/5", ["test"])
    assert target.caution(images[1:2], "fold:0/5", ["test"]) == ""


def test_torch_behind_the_edges_interface_keeps_its_promises(checkpoint: Checkpoint) -> None:
    engine = TorchEngine(checkpoint.detector(), 32, 160, 128, max_batch=2, slots=2)
    slot = engine.slot(1)
    slot[...] = np.random.default_rng(0).integers(0, 256, slot.shape, dtype=np.uint8)
    engine.submit(1, 2)
    both = engine.collect(1)
    assert both.boxes.shape == (2, 32, 4) and both.labels.dtype == np.int32
    assert (np.diff(both.scores, axis=1) <= 0).all()
    kept = both.scores.copy()
    slot[...] = 0
    engine.submit(1, 1)
    with pytest.raises(ValueError, match="submitted again"):
        engine.submit(1, 1)
    assert engine.collect(1).scores.shape == (1, 32)
    np.testing.assert_array_equal(both.scores, kept)  # the caller's own
    with pytest.raises(ValueError, match="was not submitted"):
        engine.collect(1)
    with pytest.raises(ValueError, match="3 frames do not fit"):
        engine.submit(0, 3)
    engine.close()


def test_weights_that_are_no_numbers_are_an_error_not_an_empty_field(checkpoint: Checkpoint) -> None:
    detector = checkpoint.detector()
    with torch.no_grad():
        next(detector.parameters())[0] = float("nan")
    with pytest.raises(EngineError, match="not finite"):
        TorchEngine(detector, 32, 96, 96)
