"""Recipes: the reference's systems with the reference's numbers, overrides, and mistakes answered in one sentence."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.small_trainer import RECIPE

from edge.contracts.errors import ConfigError
from trainer.loop.batches import shared_by
from trainer.loop.optimiser import Sgd, Steps
from trainer.overrides import parse_assignment
from trainer.recipe import RECIPES, Recipe, load_recipe, shipped_recipes

SSD_STEPS = Steps(at=(14700, 147000, 294000, 735000), scales=0.1)
YOLO_STEPS = Steps(at=(10000, 35000), scales=(0.1, 0.1))
SYSTEMS = {
    # name: architecture, size in px, steps, batch, parts, rate, schedule
    "ssd300-smin0.1": ("ssd300", 300, 735000, 10, 1, 1e-3, SSD_STEPS),
    "ssd300-smin0.2": ("ssd300", 300, 735000, 10, 1, 1e-3, SSD_STEPS),
    "ssd512-smin0.2": ("ssd512", 512, 735000, 4, 1, 1e-3, SSD_STEPS),
    "yolov3-320": ("yolov3", 320, 50200, 64, 16, 1e-4, YOLO_STEPS),
    "yolov3-416": ("yolov3", 416, 50200, 64, 16, 1e-4, YOLO_STEPS),
    "yolov3-608": ("yolov3", 608, 50200, 64, 16, 1e-4, YOLO_STEPS),
    "yolov3-tiny-416": ("yolov3-tiny", 416, 50200, 64, 16, 1e-4, YOLO_STEPS),
}
"""Wang et al. 2019, Training."""

WAYS = {"whole", "mosaic", "close", "scenery", "centred", "painted", "virtual"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_of_the_reference_has_its_numbers(name: str) -> None:
    recipe = load_recipe(name)
    architecture, size, steps, batch, parts, rate, schedule = SYSTEMS[name]
    assert (recipe.name, recipe.architecture) == (name, architecture)
    assert (recipe.scale.network_width_px, recipe.scale.network_height_px, recipe.scale.um_per_px) == (size, size, 0.13)
    assert [(p.steps, p.batch_size, p.subdivisions, p.field_fraction) for p in recipe.phases] == [(steps, batch, parts, 1.0)]
    optimiser = recipe.optimiser
    assert isinstance(optimiser, Sgd)
    assert (optimiser.momentum, optimiser.weight_decay, optimiser.peak_learning_rate) == (0.9, 5e-4, rate)
    assert optimiser.schedule == schedule
    shares = {name: share for name, share in recipe.compose.model_dump().items() if name in WAYS and share}
    assert shares == {"whole": 1.0}, "the reference trained on its annotated images, and so do its recipes"
    if "smin" in name:
        assert recipe.options["s_min"] == float(name[-3:])
    assert recipe.phase_sizes_px(recipe.phases[0]) == (732, 574, size, size)


DEMO = {"name", "phases", "checkpoint_every_steps", "validation"} | {
    f"optimiser.{key}" for key in ("peak_learning_rate", "schedule", "warm_up_steps", "clip_gradient_norm")
}
"""What a demo has of its own: it is short, looks at a few images held back, and its few steps have rates to match."""


def test_every_system_has_a_demo_that_differs_in_length_and_learning_rates_only() -> None:
    assert {name for name in shipped_recipes() if name.startswith("demo/")} == {f"demo/{name}" for name in SYSTEMS}
    differing = set()
    for name in SYSTEMS:
        whole, demo = load_recipe(name), load_recipe(f"demo/{name}")
        differing |= {key for key, value in keys_of(whole).items() if keys_of(demo)[key] != value}
        assert keys_of(demo).keys() == keys_of(whole).keys()
        assert sum(phase.steps * phase.batch_size for phase in demo.phases) <= 300
    assert differing == DEMO


CANDIDATES = {
    "amplitudes": {"compose"},
    "group-normalisation": {"options"},
    "larger-input": {"scale"},
    "moved-colours": {"colours"},
    "strange-colours": {"compose", "augment"},
    "style-mixing": {"style_mixing"},
}
"""What each has of its own beside `candidates/base`: a table that compares them compares nothing else."""


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if "/" not in name])
def test_a_recipe_states_how_many_processes_may_share_it(name: str) -> None:
    text = (RECIPES / f"{name}.yaml").read_text()
    (said,) = re.findall(r"^# Scaling: ([\d, or]+) processes share the batch", text, re.MULTILINE)
    assert [int(number) for number in re.findall(r"\d+", said)] == shared_by(load_recipe(name))


def test_a_candidate_differs_from_their_base_in_what_it_is_about() -> None:
    assert {name for name in shipped_recipes() if name.startswith("candidates/")} == {
        "candidates/base",
        *(f"candidates/{name}" for name in CANDIDATES),
    }
    base = load_recipe("candidates/base").model_dump()
    for name, own in CANDIDATES.items():
        candidate = load_recipe(f"candidates/{name}").model_dump()
        assert {key for key, value in candidate.items() if value != base[key]} == {"name", *own}


def keys_of(recipe: Recipe) -> dict[str, Any]:
    content = recipe.model_dump()
    optimiser = content.pop("optimiser")
    return {**content, **{f"optimiser.{key}": value for key, value in optimiser.items()}}


def load(tmp_path: Path, content: dict[str, Any] | str, overrides: dict[str, Any] | None = None) -> Recipe:
    import yaml

    path = tmp_path / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load_recipe(str(path), overrides)


def test_values_are_set_by_dotted_key_and_read_as_yaml(tmp_path: Path) -> None:
    words = ["phases.1.steps=100", "optimiser.peak_learning_rate=5e-4", "scale={network_width_px: 64}", "compose.mosaic=0.9"]
    recipe = load(tmp_path, RECIPE, dict(parse_assignment(word) for word in words))
    assert [phase.steps for phase in recipe.phases] == [3, 100]
    assert (recipe.optimiser.peak_learning_rate, recipe.optimiser.warm_up_steps) == (5e-4, 2)
    assert (recipe.scale.network_width_px, recipe.scale.width_px) == (64, 732)
    assert (recipe.compose.mosaic, recipe.compose.painted) == (0.9, 0.0)


def test_a_file_names_its_base_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "base.yaml").write_text("{based_on: shipped, name: base, seed: 77}")
    (tmp_path / "ours" / "mine.yaml").write_text("{based_on: ../base.yaml, name: mine}")
    recipe = load_recipe(str(tmp_path / "ours" / "mine.yaml"))
    assert (recipe.name, recipe.seed, recipe.architecture) == ("mine", 77, "yolov3-tiny")


def test_a_recipe_based_on_another_states_only_what_differs(tmp_path: Path) -> None:
    changed = {"based_on": "shipped", "name": "mine", "optimiser": {"warm_up_steps": 7}}
    mine, shipped = load(tmp_path, changed), load_recipe("shipped")
    assert mine.optimiser == shipped.optimiser.model_copy(update={"warm_up_steps": 7})
    assert mine.model_dump(exclude={"name", "optimiser"}) == shipped.model_dump(exclude={"name", "optimiser"})
    other = load(tmp_path, {**changed, "optimiser": {"name": "sgd"}})
    assert other.optimiser == Sgd(name="sgd"), "another optimiser takes over none of the first one's numbers"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stepz": 3}, "`stepz` is not a known key"),
        ({"optimiser.peak_lerning_rate": 1}, "did you mean `optimiser.peak_learning_rate`"),
        ({"learning_rate": 1}, "did you mean `optimiser.peak_learning_rate`"),
        ({"phases.0.stps": 1}, "`phases.0.stps` is not a known key (did you mean `phases.0.steps`?)"),
        ({"phases.2.steps": 1}, "`phases` has the entries 0 to 1"),
        ({"phases.0.steps": "many"}, "`phases.0.steps` must be a whole number"),
        ({"name.first": 1}, "`name` is a single value"),
        ({"phases.0.subdivisions": 3}, "`batch_size` 4 cannot be cut into 3 equal `subdivisions`"),
        ({"optimiser.name": "sdg"}, "'adamw', 'sgd'"),
        ({"optimiser": {"name": "sgd", "schedule": {"name": "steps", "at": [9, 3]}}}, "does not rise"),
        (
            {"optimiser": {"name": "sgd", "schedule": {"name": "steps", "at": [3], "scales": [1, 2]}}},
            "2 numbers for the 1 steps",
        ),
        ({"architecture": "yolo3-tiny"}, "did you mean `yolov3-tiny`"),
        ({"architecture": "ssd300"}, "ssd300 works at 300x300 only"),
        (
            {"architecture": "ssd300", "scale": {"network_width_px": 300, "network_height_px": 300}},
            "every `field_fraction` to 1",
        ),
        ({"scale.network_width_px": 100}, "100x96 of small is not a multiple of 32"),
        ({"init": {"format": "vgg16"}}, "`init.format` vgg16 does not fit small, which takes darknet"),
        ({"architecture": "yolov3-tiny", "options": {"anchor_px": 3}}, "`anchor_px` is not a known key"),
        ({"precision": "half"}, "'float32', 'bfloat16' or 'float16'"),
    ],
)
def test_a_mistake_in_a_recipe_is_answered_by_key(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, RECIPE, changes)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [1,", "mine.yaml is not valid YAML at line 1"),
        ("- 1", "holds no keys"),
        ("based_on: nothing", "neither a file nor a shipped recipe"),
        ("based_on: yolov3-tiny-461", "did you mean `yolov3-tiny-416`"),
        ("based_on: {me}", "is based on itself"),
        ("based_on: ../{folder}/mine.yaml", "is based on itself"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content.replace("{me}", str(tmp_path / "mine.yaml")).replace("{folder}", tmp_path.name))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("word", ["phases.0.steps", "=3", "a=[1"])
def test_an_assignment_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_assignment(word)
