"""`leuko-train crossvalidate`: every image held back once, by a model that never saw it."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.small_trainer import Lab, leuko_train

from leukostream.trainer.checkpoint import load_checkpoint, save_checkpoint
from leukostream.trainer.data.datasets import load_datasets
from leukostream.trainer.data.training_set import TrainingSet
from leukostream.trainer.evaluation.summary import Summary

pytestmark = pytest.mark.timeout(120)


def run(lab: Lab, out: Path, *more: str) -> int:
    given = lab.arguments(out, "--folds", "2", "--set", "phases.0.steps=1", "--set", "phases.1.steps=1", "--rounds", "20")
    return leuko_train("crossvalidate", *given[1:], "--json", *more)


def terminated_early(self: TrainingSet, index: int, sample: Callable[..., object] = TrainingSet.sample) -> object:
    if index == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    return sample(self, index)


def test_each_image_is_judged_once_and_the_command_goes_on_where_it_stopped(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lab, tmp_path) == 0
    first = Summary.model_validate_json(capsys.readouterr().out)
    assert first == Summary.model_validate_json((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert first.images == len(load_datasets(lab.description, lab.root))
    assert first.folds is not None and len(first.folds.map) == len(first.models) == 2
    assert first.limits is not None and first.limits.rounds == 20
    plans = [load_checkpoint(tmp_path / f"fold{k}" / "last.pt").data["split_by"] for k in (0, 1)]
    assert plans == ["fold:0/2:0", "fold:1/2:0"]

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
    for words, code, sentence in (
        ((f"0={other}",), 7, "trained under --split-by fold:1/2:0, not fold:0/2:0"),
        ((f"0={own}", "--set", "seed=6"), 7, "`seed` 5 there, 6 here); name its recipe"),
        ((f"0={tmp_path / 'early.pt'}",), 7, "did not finish"),
        ((f"0={tmp_path / 'changed.pt'}",), 7, "other images or annotations"),
        ((f"2={own}",), 2, "K from 0 to 1"),
        ((f"{own}",), 2, "K from 0 to 1"),
        ((f"0={own}", "--model", f"0={own}"), 2, "one that has a model"),
    ):
        assert run(lab, tmp_path / "again", "--model", *words) == code
        assert sentence in capsys.readouterr().err


def test_several_processes_are_refused(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(lab, tmp_path) == 2
    assert "train with torchrun" in capsys.readouterr().err
