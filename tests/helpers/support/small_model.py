"""One model of the drawn laboratory, trained and exported by the command line: an export takes seconds."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from support.small_trainer import Lab, leuko_train

from trainer.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Model:
    """A checkpoint, its file, and the bundle that `leuko-train export` made of it."""

    checkpoint: Checkpoint
    last: Path
    bundle: Path


def made_model(lab: Lab, folder: Path) -> Model:
    """What `leuko-train fit` wrote of itself, with weights that answer differently everywhere, as a bundle stores them."""
    last, bundle = folder / "run" / "last.pt", folder / "bundle"
    assert leuko_train(*lab.arguments(last.parent, "--set", "phases.1.steps=2", "--split-by", "grouped:0.2")) == 0
    trained = load_checkpoint(last)
    detector = trained.recipe.detector()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        head = detector.get_submodule("head.1")
        head.weight.normal_(0, 40.0, generator=generator)  # normalisation is untrained: what it gets is small
        head.bias.fill_(-1.0)
        for weight in detector.parameters():
            weight.copy_(weight.half().float())
    weights = detector.state_dict()
    checkpoint = replace(trained, model=weights, ema=weights, seconds=12.0)
    save_checkpoint(last, checkpoint)
    thresholds = ("--detect", "0.6", "--identify", "0.2", "--margin", "0")
    assert leuko_train("export", last, "--out", bundle, "--data", lab.description, "--root", lab.root, *thresholds) == 0
    return Model(checkpoint, last, bundle)
