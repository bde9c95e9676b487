"""What shows the curves of a training: each as its package wants it, nothing unasked, and none that ends a training."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from support.small_trainer import RECIPE

from edge.contracts.errors import ConfigError
from edge.contracts.missing_parts import not_installed
from trainer.loop.boards import Board, BoardName, chosen_boards, open_boards
from trainer.recipe import Recipe

PLACES = ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_PROJECT")


class Told:
    """A stand-in for the packages: their calls, by name."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails = False

    def note(self, name: str, /, *given: Any, **named: Any) -> None:  # noqa: ANN401
        if self.fails:
            raise ConnectionError("no route to host")
        self.calls.append((name, *given, named))

    def mlflow(self) -> SimpleNamespace:
        def client(tracking_uri: str) -> SimpleNamespace:
            self.note("client", tracking_uri)
            run = SimpleNamespace(info=SimpleNamespace(run_id="run-7"))
            names = ("update_run", "log_dict", "log_batch", "log_artifact", "set_terminated")
            made = {name: lambda *given, _name=name, **named: self.note(_name, *given, **named) for name in names}
            return SimpleNamespace(
                get_experiment_by_name=lambda name: None,
                create_experiment=lambda name, place: self.note("create_experiment", name, place) or "1",
                create_run=lambda number, run_name: run,
                **made,
            )

        return SimpleNamespace(MlflowClient=client, entities=SimpleNamespace(Metric=lambda *given: given))

    def wandb(self) -> SimpleNamespace:
        def init(**named: Any) -> SimpleNamespace:  # noqa: ANN401
            self.note("init", **named)
            return SimpleNamespace(
                id="id-3", log=lambda values, step: self.note("log", values, step), finish=lambda: self.note("finish")
            )

        return SimpleNamespace(init=init, Image=lambda path: ("image", path))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", told.mlflow())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "wandb", told.wandb())  # type: ignore[arg-type]
    return told


def opened(name: BoardName, folder: Path, said: list[str]) -> Board:
    (board,) = open_boards((name, name), folder, Recipe.model_validate(RECIPE), 0, said.append)
    return board


def picture(folder: Path) -> Path:
    path = folder / "worst_errors.jpg"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    return path


def test_mlflow_keeps_a_run_in_the_folder_and_goes_on_with_it(told: Told, tmp_path: Path) -> None:
    said: list[str] = []
    board = opened("mlflow", tmp_path, said)
    board.scalars({"loss/total": 1.5}, 3)
    board.picture(picture(tmp_path), 3)
    board.close()
    opened("mlflow", tmp_path, said)
    names = [call[0] for call in told.calls]
    assert names == [
        *("client", "create_experiment", "log_dict", "log_batch", "log_artifact", "set_terminated"),
        *("client", "update_run"),
    ]
    assert told.calls[0][1] == f"sqlite:///{tmp_path / 'mlflow.db'}" and told.calls[1][2].startswith(tmp_path.as_uri())
    ((key, value, _, step),) = told.calls[3][2]
    assert (key, value, step) == ("loss/total", 1.5, 3) and told.calls[-1][1] == "run-7"
    assert said[0] == f"mlflow: sqlite:///{tmp_path / 'mlflow.db'}"


def test_mlflow_goes_where_its_own_variable_says(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    opened("mlflow", tmp_path, [])
    assert told.calls[0][1] == "http://tracking:5000" and told.calls[1][2] is None


@pytest.mark.parametrize(("asked", "mode"), [(None, "offline"), ("online", "online")])
def test_wandb_is_offline_unless_asked(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, mode: str
) -> None:
    if asked:
        monkeypatch.setenv("WANDB_MODE", asked)
    board = opened("wandb", tmp_path, [])
    board.scalars({"loss/total": 1.5}, 3)
    board.picture(picture(tmp_path), 3)
    board.close()
    opened("wandb", tmp_path, [])
    first, scalars, shown, _, again = told.calls
    assert first[-1]["mode"] == mode and first[-1]["dir"] == str(tmp_path) and first[-1]["id"] is None
    assert scalars[1:3] == ({"loss/total": 1.5}, 3) and list(shown[1]) == ["worst_errors"]
    assert again[-1]["id"] == "id-3" and again[-1]["resume"] == ("allow" if asked else None)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_board_that_fails_is_said_once_and_ends_nothing(told: Told, tmp_path: Path, name: BoardName) -> None:
    said: list[str] = []
    board = opened(name, tmp_path, said)
    told.fails = True
    for step in (1, 2):
        board.scalars({"loss/total": 1.0}, step)
    board.close()
    assert len(said) == 2 and "does not take the figures of this training any more (no route to host)" in said[1]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_board_that_cannot_be_opened_is_one_sentence(told: Told, tmp_path: Path, name: BoardName) -> None:
    told.fails = True
    with pytest.raises(ConfigError, match=rf"{name} cannot be opened \(no route to host\); .* leave out --logger {name}"):
        opened(name, tmp_path, [])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param((), ("tensorboard",), id="as-ever"),
        pytest.param(("wandb",), ("wandb",), id="one-alone"),
        pytest.param(("wandb", "tensorboard", "wandb"), ("tensorboard", "wandb"), id="each-once"),
    ],
)
def test_those_that_are_asked_for(told: Told, words: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert tuple(chosen_boards(words)) == names and told.calls == [], "none is opened before the training begins"


def test_one_that_is_not_known_is_said() -> None:
    with pytest.raises(ConfigError, match="--logger 'mlfow' is not known; use tensorboard, mlflow, wandb"):
        chosen_boards(("mlfow",))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_one_that_is_not_installed_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, name: BoardName
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as refused:
        chosen_boards(("tensorboard", name))
    said = not_installed(refused.value, "trainer")
    assert said == f"this command needs {name}, which is not installed here; pip install {name}"
