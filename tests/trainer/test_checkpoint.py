"""Checkpoints survive a full disk, and go on only with the recipe they were made by."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.full_disk import files_limited_to
from support.small_trainer import RECIPE

from edge.contracts.errors import DataError
from trainer.checkpoint import Checkpoint, load_checkpoint, require_same, save_checkpoint
from trainer.recipe import Recipe


def a_checkpoint(step: int = 3, **changes: Any) -> Checkpoint:  # noqa: ANN401
    recipe = Recipe.model_validate({**RECIPE, **changes})
    weights = recipe.detector().state_dict()
    return Checkpoint(recipe, step, weights, weights, {}, {"sources": {}}, seconds=12.5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95], ids=["nothing-fits", "a-part-fits", "almost-all-fits"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, a_checkpoint(3))
    before = path.read_bytes()
    with (
        files_limited_to(int(share * len(before))),
        pytest.raises(DataError, match=r"written \(File too large\); .* untouched"),
    ):
        save_checkpoint(path, a_checkpoint(4))
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    assert load_checkpoint(path).step == 3


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = a_checkpoint()
    save_checkpoint(tmp_path / "last.pt", saved)
    read = load_checkpoint(tmp_path / "last.pt")
    assert (read.recipe, read.step, read.seconds, read.data) == (saved.recipe, 3, 12.5, {"sources": {}})
    assert read.detector().training is False


@pytest.mark.parametrize(
    "damage", [pytest.param(lambda b: b[: len(b) // 2], id="cut"), pytest.param(lambda b: b"", id="empty")]
)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: Any) -> None:  # noqa: ANN401
    path = tmp_path / "last.pt"
    save_checkpoint(path, a_checkpoint())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"last\.pt is not a readable checkpoint"):
        load_checkpoint(path)


def test_a_recipe_that_another_version_wrote_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, a_checkpoint())
    content = torch.load(path, weights_only=True)
    torch.save({**content, "recipe": {**content["recipe"], "warmth": 1}}, path)
    with pytest.raises(DataError, match=r"not one of this version \(`warmth` is not a known key"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"architecture": "yolov3-tiny"}, r"`architecture` small there, yolov3-tiny here", id="architecture"),
        pytest.param({"seed": 6}, r"`seed` 5 there, 6 here", id="seed"),
        pytest.param({"phases": RECIPE["phases"][:1]}, r"`phases\.1\.batch_size` 2 there, None here", id="a-phase-less"),
        pytest.param({"optimiser": {"name": "sgd"}}, r"`optimiser\.\w+` .* and \d+ more", id="many-keys"),
    ],
)
def test_another_recipe_is_refused_by_what_differs(changes: dict[str, Any], says: str) -> None:
    other = Recipe.model_validate({**RECIPE, **changes})
    with pytest.raises(DataError, match=rf"x\.pt was trained by another recipe \(.*{says}"):
        require_same(a_checkpoint().recipe, other, Path("x.pt"))


def test_what_changes_no_result_may_change() -> None:
    require_same(
        a_checkpoint().recipe, Recipe.model_validate({**RECIPE, "workers": 7, "checkpoint_every_steps": 9}), Path("x.pt")
    )


def test_weights_taken_early_say_so() -> None:
    early = a_checkpoint()
    last = replace(early, step=early.recipe.total_steps)
    assert not early.finished and early.history == {**early.data, "stopped_after_step": early.step}
    assert last.finished and last.history == last.data
