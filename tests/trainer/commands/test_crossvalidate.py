"""`leuko-train crossvalidate`: every image held back once, by a model that never saw it."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_model import Model
from support.small_trainer import Lab, leuko_train

from edge.contracts.bundle import load_bundle
from edge.settings import SHIPPED_BUNDLE
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.data.datasets import load_datasets
from trainer.evaluation import crossvalidation
from trainer.evaluation.summary import Summary

pytestmark = pytest.mark.timeout(120)


def run(lab: Lab, out: Path, *more: str) -> int:
    given = lab.arguments(out, "--folds", "2", "--set", "phases.0.steps=1", "--set", "phases.1.steps=1", "--rounds", "20")
    return leuko_train("crossvalidate", *given[1:], "--json", *more)


def terminated_early(self: TrainingSet, index: int, sample: Callable[..., object] = TrainingSet.sample) -> object:
    if index == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    return sample(self, index)


def test_each_image_is_judged_once_and_the_command_goes_on_where_it_stopped(
    lab: Lab, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lab, tmp_path) == 0
    first = Summary.model_validate_json(capsys.readouterr().out)
    assert first == Summary.model_validate_json((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert first.images == len(load_datasets(lab.description, lab.root))
    assert first.folds is not None and len(first.folds.map) == len(first.models) == 2
    assert first.limits is not None and first.limits.rounds == 20
    plans = [load_checkpoint(tmp_path / f"fold{k}" / "last.pt").data["split_by"] for k in (0, 1)]
    assert plans == ["fold:0/2:0", "fold:1/2:0"]
    assert not list(tmp_path.rglob("best.pt")), "nothing is chosen by what is measured"

    shutil.rmtree(tmp_path / "fold1")
    with monkeypatch.context() as patch:
        patch.setattr(TrainingSet, "sample", terminated_early)
        assert run(lab, tmp_path) == 130
    assert "the same crossvalidate command goes on here" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "fold1" / "last.pt").step == 1
    kept = (tmp_path / "fold0" / "losses.jsonl").read_text(encoding="utf-8")
    assert run(lab, tmp_path) == 0
    again = json.loads(capsys.readouterr().out)
    assert (tmp_path / "fold0" / "losses.jsonl").read_text(encoding="utf-8") == kept
    assert (again["map"], again["folds"]["map"]) == (first.map, list(first.folds.map))

    assert run(lab, tmp_path, "--set", "seed=6") == 7
    assert "another recipe" in capsys.readouterr().err

    threads: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(torch, "set_num_threads", threads.append)
        assert run(lab, tmp_path, "--source", "LAB", "--threads", "1") == 0
    assert threads == [1], "what is only measured keeps to --threads, too"
    of_one = Summary.model_validate_json(capsys.readouterr().out)
    assert (of_one.source, of_one.images, of_one.map) == ("LAB", first.images, first.map) and "--source LAB" in of_one.command
    assert of_one == Summary.model_validate_json((tmp_path / "summary_LAB.json").read_text(encoding="utf-8"))
    assert run(lab, tmp_path, "--source", "LABB", "--set", "validation.patience=1") == 2
    assert "no image of the source 'LABB'; the sources are LAB" in capsys.readouterr().err

    # A model that is there already stands for its fold.
    own, other = (tmp_path / f"fold{k}" / "last.pt" for k in (0, 1))
    shutil.copytree(tmp_path / "fold1", tmp_path / "again" / "fold1")
    assert run(lab, tmp_path / "again", "--model", f"0={own}") == 0
    given = json.loads(capsys.readouterr().out)
    assert (given["map"], given["folds"]) == (first.map, again["folds"])
    assert "--model 0=last.pt" in given["command"] and not (tmp_path / "again" / "fold0").exists()
    save_checkpoint(tmp_path / "early.pt", replace(load_checkpoint(own), step=1))
    changed = load_checkpoint(own)
    save_checkpoint(tmp_path / "changed.pt", replace(changed, data={**changed.data, "sha256": "0" * 64}))
    save_checkpoint(tmp_path / "chosen.pt", replace(changed, data={**changed.data, "chosen": {"after_step": 2}}))
    for words, code, sentence in (
        ((f"0={other}",), 7, "trained under --split-by fold:1/2:0, not fold:0/2:0"),
        ((f"0={own}", "--set", "seed=6"), 7, "`seed` 5 there, 6 here); give the recipe"),
        ((f"0={tmp_path / 'early.pt'}",), 7, "did not finish"),
        ((f"0={tmp_path / 'changed.pt'}",), 7, "other images or annotations"),
        ((f"0={tmp_path / 'chosen.pt'}",), 7, "which would be measured on its own choice"),
        (
            (f"0={model.bundle}",),
            7,
            "the default thresholds that the trained folds are measured at (`detect` 0.6 there, 0.3 by",
        ),
        ((f"2={own}",), 2, "K from 0 to 1"),
        ((f"{own}",), 2, "K from 0 to 1"),
        ((f"0={own}", "--model", f"0={own}"), 2, "one that has a model"),
    ):
        assert run(lab, tmp_path / "again", "--model", *words) == code
        assert sentence in capsys.readouterr().err

    # Models for all folds: nothing makes a folder but the command itself. On the device that is named, whatever else is there.
    both = ("--model", f"0={own}", "--model", f"1={other}")
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        assert run(lab, tmp_path / "new" / "out", *both) == 0
        measured = Summary.model_validate_json(capsys.readouterr().out)
        assert measured.map == first.map and "CPU" in measured.engine and "--device cpu" in measured.command
        assert run(lab, tmp_path) == 0
        assert "CPU" in json.loads(capsys.readouterr().out)["engine"]
    assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == ["summary.json"]

    # Hours of work are told even where they cannot be written.
    (tmp_path / "full" / "summary.json").mkdir(parents=True)
    assert run(lab, tmp_path / "full", *both) == 7
    told = capsys.readouterr()
    assert json.loads(told.out)["map"] == first.map
    assert "summary.json could not be written (Is a directory); free the disk or correct --out" in told.err


def test_an_out_that_cannot_be_is_said_before_the_images_are_read(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crossvalidation, "load_datasets", lambda *_: pytest.fail("the images were looked at"))
    (tmp_path / "out").touch()
    assert run(lab, tmp_path / "out") == 7
    assert "could not be written (File exists)" in capsys.readouterr().err


def test_a_model_with_a_second_look_does_not_stand_for_a_fold(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_bundle(SHIPPED_BUNDLE).manifest.second_look is not None
    assert run(lab, tmp_path, "--model", f"0={SHIPPED_BUNDLE}") == 7
    assert "second-look --remove" in " ".join(capsys.readouterr().err.split())


def test_several_processes_are_refused(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(lab, tmp_path) == 2
    assert "train with torchrun" in capsys.readouterr().err
