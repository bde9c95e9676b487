"""A drawn laboratory for the tests that train, and one model of it."""

import pytest
import torch
from support.small_model import Model, made_model
from support.small_trainer import Lab, draw_lab

from trainer.data.compose.training_set import TrainingSet
from trainer.data.datasets import load_datasets
from trainer.loop.training_run import training_sets
from trainer.recipe import load_recipe

# These networks are too small to share out, and `make test` runs other tests beside these on the same cores: threads that wait
# for each other then take twenty times as long as one.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return draw_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def sets(lab: Lab) -> list[TrainingSet]:
    rows = [row for row in load_datasets(lab.description, lab.root) if row.split == "train"]
    return training_sets(load_recipe(str(lab.recipe)), rows)


@pytest.fixture(scope="session")
def model(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return made_model(lab, tmp_path_factory.mktemp("model"))
