"""Training on a data set drawn on the spot: it learns, repeats itself, resumes exactly, and its commands say what is wrong."""

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.smears import smear, voc, write

from leukostream.edge.contracts.bundle import load_bundle
from leukostream.edge.contracts.errors import ConfigError, DataError
from leukostream.trainer.checkpoint import load_checkpoint, save_checkpoint
from leukostream.trainer.cli import main
from leukostream.trainer.commands.fit import training_sets
from leukostream.trainer.data.datasets import load_datasets
from leukostream.trainer.data.training_set import TrainingSet
from leukostream.trainer.fit import Targets, fit, learning_rate, train_step
from leukostream.trainer.models.catalogue import build_detector
from leukostream.trainer.recipe import Optimiser, Recipe, load_recipe

pytestmark = pytest.mark.timeout(120)

RECIPE = {
    "name": "small",
    "architecture": "yolov3-tiny",
    "scale": {"width_px": 192, "height_px": 160, "network_width_px": 96, "network_height_px": 96},
    "top_k": 32,
    "seed": 5,
    "phases": [{"steps": 3, "batch_size": 4, "field_fraction": 0.7}, {"steps": 3, "batch_size": 2}],
    "optimiser": {"warm_up_steps": 2},
    "compose": {"painted": 0.0, "virtual": 0.0},
    "checkpoint_every_steps": 2,
    "workers": 0,
}


@dataclass(frozen=True)
class Lab:
    """A folder with images, their description and a recipe."""

    root: Path
    description: Path
    recipe: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    root = tmp_path_factory.mktemp("lab")
    for k in range(12):
        name, split = f"field_{k:02d}", "test" if k > 9 else "train"
        x, y = 60 + 10 * k, 70 + 5 * k
        write(root / "slides" / "JPEGImages" / f"{name}.jpg", smear(240, 200, ((x, y, 30),), seed=k))
        kind = "LYMPHOCYTE" if k % 2 else "MONOCYTE"
        voc(root / "slides", name, (240, 200), [(kind, (x - 30, y - 30, x + 30, y + 30))], split)
    (root / "classes.yaml").write_text("LYMPHOCYTE: lymphocyte\nMONOCYTE: monocyte\n")
    dataset = {"format": "voc", "folder": "slides", "class_map": "classes.yaml", "source": "LAB", "um_per_px": 0.13}
    description = root / "data.yaml"
    description.write_text(yaml.safe_dump({"datasets": [dataset], "sources": {"LAB": {"origin": "drawn", "licence": "none"}}}))
    recipe = root / "small.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    return Lab(root, description, recipe)


@pytest.fixture(scope="module")
def sets(lab: Lab) -> list[TrainingSet]:
    rows = [row for row in load_datasets(lab.description, lab.root) if row.split == "train"]
    return training_sets(load_recipe(str(lab.recipe)), rows)


class StopsAt:
    """A training set whose machine loses power at one sample."""

    def __init__(self, inner: TrainingSet, at: int) -> None:
        self.inner, self.at = inner, at

    def sample(self, index: int) -> object:
        if index >= self.at:
            raise KeyboardInterrupt
        return self.inner.sample(index)


@pytest.mark.parametrize("at", [pytest.param((0, 9), id="in-the-first-phase"), pytest.param((1, 3), id="in-the-second-phase")])
def test_a_resumed_training_ends_with_the_very_weights_of_an_uninterrupted_one(
    lab: Lab, sets: list[TrainingSet], tmp_path: Path, at: tuple[int, int]
) -> None:
    recipe = load_recipe(str(lab.recipe))
    whole = fit(recipe, sets, tmp_path / "whole", {})
    broken = [StopsAt(one, at[1]) if number == at[0] else one for number, one in enumerate(sets)]
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, broken, tmp_path / "broken", {})  # type: ignore[arg-type]
    half = load_checkpoint(tmp_path / "broken" / "last.pt")
    assert 0 < half.step < recipe.total_steps
    resumed = fit(recipe, sets, tmp_path / "broken", {}, resume=half)
    assert resumed.step == whole.step == recipe.total_steps
    assert all(torch.equal(resumed.ema[name], whole.ema[name]) for name in whole.ema)
    assert all(torch.equal(resumed.model[name], whole.model[name]) for name in whole.model)


def test_samples_prepared_by_worker_processes_give_the_same_weights(lab: Lab, sets: list[TrainingSet], tmp_path: Path) -> None:
    alone = fit(load_recipe(str(lab.recipe)), sets, tmp_path / "alone", {})
    helped = fit(load_recipe(str(lab.recipe), {"workers": 2}), sets, tmp_path / "helped", {})
    assert all(torch.equal(helped.ema[name], alone.ema[name]) for name in alone.ema)


def test_the_loss_falls(sets: list[TrainingSet]) -> None:
    recipe = Recipe.model_validate({**RECIPE, "optimiser": {"warm_up_steps": 0, "peak_learning_rate": 2e-3}})
    model = recipe.detector().train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    samples = [sets[1].sample(k) for k in range(8)]
    images = torch.stack([torch.from_numpy(image) for image, _, _ in samples])
    targets = [Targets(torch.from_numpy(boxes), torch.from_numpy(labels).long()) for _, boxes, labels in samples]
    totals = [sum(train_step(model, images, targets, optimiser, 10.0).values()) for _ in range(25)]
    assert np.mean(totals[-3:]) < 0.5 * np.mean(totals[:3])


def test_a_loss_that_is_not_finite_stops_the_training_before_it_spoils_the_weights(sets: list[TrainingSet]) -> None:
    model = build_detector("yolov3-tiny", 15, (96, 96), {}, 0).train()
    with torch.no_grad():
        model.fine[-1].bias[0] = float("nan")
    before = model.coarse[-1].weight.clone()
    image, boxes, labels = next(s for s in map(sets[1].sample, range(50)) if (s[2] >= 0).any())
    targets = [Targets(torch.from_numpy(boxes), torch.from_numpy(labels).long())]
    with pytest.raises(DataError, match=r"no longer finite.*peak_learning_rate"):
        train_step(model, torch.from_numpy(image)[None], targets, torch.optim.SGD(model.parameters(), 0.1), 10.0)
    assert torch.equal(model.coarse[-1].weight, before)


def test_the_learning_rate_warms_up_peaks_and_decays() -> None:
    settings = Optimiser(peak_learning_rate=1.0, warm_up_steps=10, final_fraction=0.1)
    rates = [learning_rate(step, 110, settings) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55) and rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["leuko-train", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_fit_export_and_evaluate_hand_over_to_each_other(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", lab.description, "--root", lab.root)
    assert run_main(monkeypatch, "fit", *data, "--recipe", lab.recipe, "--out", tmp_path / "run") == 0
    last, out = tmp_path / "run" / "last.pt", tmp_path / "bundle"
    assert run_main(monkeypatch, "export", last, "--out", out, *data, "--split", "test") == 0
    bundle = load_bundle(out)
    training = bundle.manifest.training
    assert training.trained and training.seed == 5 and training.recipe["name"] == "small"
    assert training.data["train_cells"]["lymphocyte"] == training.data["train_cells"]["monocyte"] == 5
    assert (training.metrics["images"], training.metrics["wbc"]["truth"]) == (2, 2)
    card = (out / "CARD.md").read_text(encoding="utf-8")
    assert "drawn cells only: blast" in card and "must not be used for" in card
    capsys.readouterr()
    assert run_main(monkeypatch, "evaluate", out, *data, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["wbc"] == training.metrics["wbc"] and again["counting"] == training.metrics["counting"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(["fit", "--recipe", "nope"], 2, "shipped are: yolov3-tiny-416", id="unknown-recipe"),
        pytest.param(["fit", "--recipe", "{root}/typo.yaml"], 2, "`stepz` is not a known key", id="unknown-key-in-a-recipe"),
        pytest.param(["fit", "--splits", "holdout"], 2, "use train, val or test", id="a-split-that-is-not"),
        pytest.param(["fit", "--out", "{root}/used"], 2, "--resume", id="a-folder-in-use-is-not-overwritten"),
        pytest.param(["fit", "--data", "{root}/unmapped.yaml"], 7, "absent.yaml", id="missing-class-map"),
        pytest.param(["fit", "--data", "{root}/nameless.yaml"], 7, "origin and licence of LAB", id="data-without-a-licence"),
        pytest.param(["export", "--out", "{root}/x"], 2, "either a checkpoint", id="export-of-nothing"),
        pytest.param(["export", "{root}/absent.pt", "--out", "{root}/x"], 7, "absent.pt is not there", id="missing-checkpoint"),
        pytest.param(
            ["export", "{root}/data.yaml", "--out", "{root}/x"], 7, "not a readable checkpoint", id="not-a-checkpoint"
        ),
        pytest.param(["evaluate", "{root}"], 3, "no bundle.json", id="not-a-bundle"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    description = yaml.safe_load(lab.description.read_text())
    nameless = {"datasets": description["datasets"]}
    unmapped = {"datasets": [{**description["datasets"][0], "class_map": "absent.yaml"}]}
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
    assert run_main(monkeypatch, *given) == code
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said


def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(
    lab: Lab, sets: list[TrainingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = fit(load_recipe(str(lab.recipe)), sets, tmp_path, {})
    before = (tmp_path / "last.pt").read_bytes()

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match="No space left"):
        save_checkpoint(tmp_path / "last.pt", checkpoint)
    assert (tmp_path / "last.pt").read_bytes() == before and not list(tmp_path.glob("*.part"))


def test_a_recipe_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1,")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not YAML"):
        load_recipe(str(tmp_path / "bad.yaml"))
