"""What is wrong with a recipe or a description is said in words of its own, by the key that its author wrote."""

from pathlib import Path

import pytest

from edge.contracts.errors import ConfigError, DataError
from trainer.data.readers.description import load_description
from trainer.recipe import load_recipe

DATASET = "format: voc, folder: a, class_map: b, source: LAB, um_per_px: 0.1"
INNER = ("input", "valid", "tuple", "dictionary", "instance", "constrained", "literal", "discriminator", "tag", "[key]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("phases: []", "`phases` must be a list with a length of at least 1;", id="an empty list"),
        pytest.param("phases: {steps: 3}", "`phases` must be a list;", id="a table for a list"),
        pytest.param(
            "phases: [{steps: 1.5, batch_size: 0}]", "`phases.0.steps` must be a whole number; `phases.0.batch", id="two"
        ),
        pytest.param("seed: abc", "`seed` must be a whole number;", id="no number"),
        pytest.param("precision: FP16", "`precision` must be 'float32', 'bfloat16' or 'float16';", id="no such choice"),
        pytest.param("optimiser: {name: lion}", "`optimiser` has the 'name' 'lion'; use 'adamw', 'sgd';", id="no such kind"),
        pytest.param("scale: 3", "`scale` must be lines of `key: value`;", id="a number for a table"),
        pytest.param("compose: {whole: -1}", "`compose.whole` must be at least 0;", id="below a bound"),
        pytest.param("optimiser: {name: sgd, momentum: x}", "`optimiser.momentum` must be a number;", id="within a kind"),
    ],
)
def test_of_a_recipe(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"based_on: shipped\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(tmp_path / "mine.yaml"))
    said = str(caught.value).replace(str(tmp_path), "")
    assert says in said
    assert not [word for word in INNER if word in said]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "datasets: [{format: yolo, folder: a}]", "`datasets.0.class_map` is missing; `datasets.0.um_", id="missing"
        ),
        pytest.param("datasets: [{folder: a}]", "`datasets.0` lacks 'format';", id="no format"),
        pytest.param("datasets: [{format: cvat}]", "has the 'format' 'cvat'; use 'yolo', 'voc', 'coco', 'class", id="unknown"),
        pytest.param(
            f"datasets: [{{{DATASET.replace('0.1', 'abc').replace('voc', 'yolo')}}}]",
            "`datasets.0.um_per_px` must be a number or lines of `key: value`;",
            id="either of two kinds",
        ),
        pytest.param(
            f"datasets: [{{{DATASET.replace('0.1', '130')}}}]", "`datasets.0.um_per_px` must be at most 10;", id="bound"
        ),
        pytest.param(
            f"datasets: [{{{DATASET.replace('voc', 'coco')}, annotations: {{trian: x}}}}]",
            "`datasets.0.annotations.trian` must be 'train', 'val' or 'test';",
            id="a key that is none of three",
        ),
        pytest.param(f"datasets: [{{{DATASET}, foldr: a}}]", "`datasets.0.foldr` is not a known key (did you mean", id="typo"),
        pytest.param("- a", "the document must be lines of `key: value`;", id="a list"),
        pytest.param("", "the document must be lines of `key: value`;", id="an empty file"),
    ],
)
def test_of_a_description(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "data.yaml").write_text(f"{text}\n")
    with pytest.raises(DataError) as caught:
        load_description(tmp_path / "data.yaml")
    said = str(caught.value).replace(str(tmp_path), "")
    assert says in said
    assert not [word for word in INNER if word in said]
