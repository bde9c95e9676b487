"""A network of a few thousand weights, a data set drawn on the spot, and trainings in processes of their own."""

import itertools
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.smears import smear, voc, write
from torch import Tensor, nn

from trainer.cli import main
from trainer.data.compose.training_set import TrainingSet
from trainer.models.catalogue import ARCHITECTURES
from trainer.models.layers import ConvBlock
from trainer.models.yolo_detector import YoloDetector, output_layer, start_quiet

RECIPE: dict[str, Any] = {
    "name": "small",
    "architecture": "small",
    "scale": {"width_px": 192, "height_px": 160, "network_width_px": 96, "network_height_px": 96},
    "top_k": 32,
    "seed": 5,
    "phases": [{"steps": 3, "batch_size": 4, "field_fraction": 0.7}, {"steps": 3, "batch_size": 2}],
    "optimiser": {"warm_up_steps": 2},
    "compose": {"painted": 0.0, "virtual": 0.0},
    "checkpoint_every_steps": 2,
    "workers": 0,
}


class Small(YoloDetector):
    """One head of YOLOv3 on four convolutions; `dropout` is a network's own randomness."""

    def __init__(
        self, n_classes: int, network_width_px: int, network_height_px: int, dropout: float = 0.0, **options: object
    ) -> None:
        super().__init__(n_classes, network_width_px, network_height_px, (16,), ((60, 60), (90, 90), (130, 130)), options)
        widths = (3, 8, 12, 16, 24)
        self.layers = nn.Sequential(*(ConvBlock(a, b, 3, 2) for a, b in itertools.pairwise(widths)))
        self.head = nn.Sequential(nn.Dropout(dropout), output_layer(widths[-1], n_classes))
        start_quiet(self.head[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.split(self.head(self.layers(images)))


ARCHITECTURES["small"] = Small


@dataclass(frozen=True)
class Lab:
    """A folder with images, their description and a recipe."""

    root: Path
    description: Path
    recipe: Path

    def arguments(self, out: Path, *more: object) -> list[str]:
        """Of `leuko-train fit`."""
        given = (
            "fit",
            "--data",
            self.description,
            "--root",
            self.root,
            "--recipe",
            self.recipe,
            "--out",
            out,
            "--device",
            "cpu",
        )
        return [str(argument) for argument in (*given, *more)]


def draw_lab(root: Path) -> Lab:
    """Twelve fields with one leukocyte each, the last two for tests."""
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


def leuko_train(*arguments: object) -> int:
    """The exit code of `leuko-train`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["leuko-train", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def processes() -> ForkServerContext:
    """Where trainings are started: each is forked from a process that has imported torch once (with what its optimisers import
    late) and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch._dynamo", "torch.utils.tensorboard", "trainer.command_list", "trainer.loop.training_run"]
    )
    return context


def start(
    context: ForkServerContext,
    arguments: list[str],
    said: Path,
    environment: dict[str, str],
    killed_at: int | None = None,
    own_group: bool = False,
) -> ForkServerProcess:
    """`leuko-train` in its own process, its standard error in `said`. It kills itself (SIGKILL) when it is asked for sample
    `killed_at`. In its own group of processes it may have children."""
    process = context.Process(target=_run, args=(arguments, str(said), environment, killed_at, own_group), daemon=not own_group)
    process.start()
    return process


def _run(arguments: list[str], said: str, environment: dict[str, str], killed_at: int | None, own_group: bool) -> None:
    if own_group:
        os.setsid()
    with Path(said).open("w") as stream:
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    original = TrainingSet.sample

    def sample(self: TrainingSet, index: int) -> Any:  # noqa: ANN401
        if index == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, index)

    TrainingSet.sample = sample  # type: ignore[method-assign]
    sys.argv = ["leuko-train", *arguments]
    main()
