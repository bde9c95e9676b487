"""Where the curves and pictures of a training are shown: TensorBoard, MLflow or Weights & Biases, behind one interface.

Nothing is contacted unasked: MLflow and Weights & Biases write into the training's folder, unless their own variables of the
environment name another place. What they report of their use is turned off.
"""

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from edge.contracts.errors import ConfigError, first_line
from trainer.recipe import Recipe

BoardName = Literal["tensorboard", "mlflow", "wandb"]

TENSORBOARD: tuple[BoardName, ...] = ("tensorboard",)

Say = Callable[[str], object]

PROJECT = "leukostream"

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
"""Set before they are imported, unless the user has set them."""


class Board(Protocol):
    """What shows a training's figures. Only the first process has one."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Figures by name after `step`, counted from 1."""

    def picture(self, path: Path, step: int) -> None:
        """A picture file that the training has written."""

    def close(self) -> None:
        """At the end of the training, or where it stopped; a resumed one goes on in the same place."""


def chosen_boards(words: Sequence[str]) -> Sequence[BoardName]:
    """Those named on the command line, the default where none is, imported now: what is wrong is said before images are read.

    Raises `ConfigError` for a name that is none, and `ModuleNotFoundError` for a package that is not installed.
    """
    known: tuple[BoardName, ...] = get_args(BoardName)
    if unknown := [word for word in words if word not in known]:
        raise ConfigError(f"--logger {unknown[0]!r} is not known; use {', '.join(known)}, each with a --logger of its own.")
    names = [name for name in known if name in words]
    for name in names:
        if name != "tensorboard":  # of the trainer itself, and half a second
            _imported(name)
    return names or TENSORBOARD


def _imported(name: str) -> Any:  # noqa: ANN401 - packages that need not be here, without types
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    return importlib.import_module(name)


def open_boards(names: Sequence[BoardName], folder: Path, recipe: Recipe, step: int, say: Say) -> list[Board]:
    """Those that were asked for, to go on after `step`. `say` is told where they write.

    Raises OSError where TensorBoard's files cannot be written, and `ConfigError` where another cannot be opened.
    """
    boards: list[Board] = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            boards.append(TensorBoard(folder, step))
            continue
        try:
            board = MlflowBoard(folder, recipe) if name == "mlflow" else WandbBoard(folder, recipe)
        except ModuleNotFoundError:
            raise
        except Exception as problem:  # of whatever kind a foreign package raises
            raise ConfigError(
                f"{name} cannot be opened ({first_line(problem)}); correct its settings, or leave out --logger {name}."
            ) from problem
        say(f"{name}: {board.where}")
        boards.append(Forgiving(name, board, say))
    return boards


class TensorBoard:
    """Event files in `tensorboard/`, as `tensorboard --logdir` shows them; what a lost run wrote beyond `step` is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        # Half a second that commands without a training should not pay.
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._summary = Summary
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, path: Path, step: int) -> None:
        # Its own bytes: to decode and encode it anew takes as long as a step of a small network.
        image = self._summary.Image(encoded_image_string=path.read_bytes())
        shown = self._summary(value=[self._summary.Value(tag=path.stem, image=image)])
        files: Any = self._writer.file_writer
        files.add_summary(shown, step)

    def close(self) -> None:
        self._writer.close()


class MlflowBoard:
    """A run of MLflow: in `mlflow.db` and `mlartifacts/` of the folder, or where MLFLOW_TRACKING_URI says."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        mlflow = _imported("mlflow")
        self._metric = mlflow.entities.Metric
        place = folder.resolve()
        self.where = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place / 'mlflow.db'}"
        self._client = mlflow.MlflowClient(tracking_uri=self.where)
        kept = folder / "mlflow_run.txt"
        if kept.is_file():
            self._run = kept.read_text(encoding="utf-8").strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else (place / "mlartifacts").as_uri()
        experiment = self._client.get_experiment_by_name(PROJECT)
        number = experiment.experiment_id if experiment else self._client.create_experiment(PROJECT, artifacts)
        self._run = self._client.create_run(number, run_name=place.name).info.run_id
        self._client.log_dict(self._run, recipe.model_dump(mode="json"), "recipe.json")
        kept.write_text(self._run + "\n", encoding="utf-8")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        now_ms = round(time.time() * 1000)
        self._client.log_batch(self._run, [self._metric(name, value, now_ms, step) for name, value in values.items()])

    def picture(self, path: Path, step: int) -> None:
        self._client.log_artifact(self._run, str(path))

    def close(self) -> None:
        self._client.set_terminated(self._run)


class WandbBoard:
    """A run of Weights & Biases: in `wandb/` of the folder, for `wandb sync`, or online where WANDB_MODE says so."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._wandb = _imported("wandb")
        mode = os.environ.get("WANDB_MODE", "offline")
        kept = folder / "wandb_run.txt"
        begun = kept.read_text(encoding="utf-8").strip() if kept.is_file() else None
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.resolve().name,
            dir=str(folder),
            id=begun,
            resume="allow" if begun and mode == "online" else None,
            mode=mode,
            config=recipe.model_dump(mode="json"),
        )
        self.where = f"{mode}, in {folder / 'wandb'}"
        kept.write_text(self._run.id + "\n", encoding="utf-8")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, path: Path, step: int) -> None:
        self._run.log({path.stem: self._wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self._run.finish()


class Forgiving:
    """A board whose failure ends no training: it is said once, and the board is left alone from then on."""

    def __init__(self, name: str, board: Board, say: Say) -> None:
        self._name, self._say = name, say
        self._board: Board | None = board

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._tried(lambda board: board.scalars(values, step))

    def picture(self, path: Path, step: int) -> None:
        self._tried(lambda board: board.picture(path, step))

    def close(self) -> None:
        self._tried(lambda board: board.close())

    def _tried(self, does: Callable[[Board], None]) -> None:
        if self._board is None:
            return
        try:
            does(self._board)
        except Exception as problem:  # noqa: BLE001 - of whatever kind a foreign package raises
            self._board = None
            self._say(
                f"{self._name} does not take the figures of this training any more ({first_line(problem)}); the training goes "
                "on without it, and losses.jsonl has them all."
            )
