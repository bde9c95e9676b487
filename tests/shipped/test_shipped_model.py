"""The model in the repository: what its card claims, on drawn fields anywhere and on real images where they are."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from support.bare_run import records_of_run

from edge.camera.uri import open_source
from edge.camera.virtual import VirtualSource
from edge.contracts.bundle import load_bundle
from edge.contracts.records import FieldRecord, FieldStatus, RunStart, RunStop
from edge.pipeline import engine_for, run_fields
from edge.settings import SHIPPED_BUNDLE, EdgeSettings
from trainer.evaluation.average_precision import pairwise_iou
from trainer.evaluation.measure import measure_split
from trainer.evaluation.target import bundle_target
from trainer.recipe import RECIPES

pytestmark = pytest.mark.timeout(120)

MAX_BUNDLE_BYTES = 25_000_000


def test_the_bundle_is_whole_trained_and_small() -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    assert bundle.manifest.training.trained and bundle.manifest.training.metrics
    assert sum(path.stat().st_size for path in SHIPPED_BUNDLE.rglob("*") if path.is_file()) <= MAX_BUNDLE_BYTES


def test_the_card_states_what_the_manifest_measured() -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    metrics = bundle.manifest.training.metrics
    card = (SHIPPED_BUNDLE / "CARD.md").read_text(encoding="utf-8")
    assert f"| any leukocyte | {metrics['wbc']['truth']} | {metrics['wbc']['ap']:.3f} |" in card
    assert f"{metrics['counting']['counted']} leukocytes counted" in card


def test_it_finds_the_leukocytes_of_drawn_fields_and_little_else() -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    source = VirtualSource("seed=42,fields=24,wbc=1.5")
    settings = EdgeSettings(source="virtual:", bundle=SHIPPED_BUNDLE)
    engine, _ = engine_for(source.info, bundle, settings)
    found = wanted = extra = 0
    for record in run_fields(source, engine, bundle, settings):
        truth = source.truth(record.field_index)
        boxes = np.array([d.box_px for d in record.detections], np.float32).reshape(-1, 4)
        overlaps = pairwise_iou(boxes, truth.boxes_px)
        whole = (truth.labels <= 10) & (truth.visible_fraction > 0.9)
        wanted += int(whole.sum())
        found += int((overlaps.max(axis=0, initial=0.0)[whole] >= 0.5).sum())
        extra += int((overlaps.max(axis=1, initial=0.0) < 0.2).sum())
    engine.close()
    assert wanted >= 20
    assert found >= 0.9 * wanted
    assert extra <= 0.1 * wanted


def test_real_images_that_it_never_saw(real_data: Path) -> None:
    """The fold that its training held back, of five laboratories' images."""
    summary = measure_split(bundle_target(load_bundle(SHIPPED_BUNDLE)), RECIPES / "datasets.yaml", real_data, "test")
    assert (summary.split_by, summary.images, summary.caution) == ("fold:0/5", 325, "")
    assert summary.wbc.ap is not None and summary.wbc.ap >= 0.97
    assert summary.map is not None and summary.map >= 0.88
    assert abs(summary.counting.counted / summary.counting.true - 1) <= 0.05


def test_fields_without_a_leukocyte_of_a_camera_that_it_never_saw(real_data: Path, tmp_path: Path) -> None:
    fields = {"format": "class_folders", "folder": "rbc_fields", "leave_out": ["images/d_*"], "source": "rbc_fields_x"}
    class_map = str(RECIPES.parent / "class_maps" / "rbc_fields.yaml")
    described = {"datasets": [{**fields, "class_map": class_map, "um_per_px": 0.09, "shares": {"test": 1.0}}]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(described))
    summary = measure_split(
        bundle_target(load_bundle(SHIPPED_BUNDLE)), tmp_path / "data.yaml", real_data, "test", split_by="given"
    )
    assert summary.images == 9 and "second look was trained on" not in summary.caution
    assert summary.empty is not None and summary.empty.false_leukocytes <= 1


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(24, id="some"),
        pytest.param(None, id="all", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_every_real_image_gives_exactly_one_field_record(real_data: Path, tmp_path: Path, limit: int | None) -> None:
    images = sorted((real_data / "bccd" / "JPEGImages").glob("*.jpg"))[:limit]
    for image in images:
        (tmp_path / image.name).symlink_to(image)
    records = records_of_run("--source", f"folder:{tmp_path}", "--um-per-px", "0.073")
    fields = [record for record in records if isinstance(record, FieldRecord)]
    assert isinstance(records[0], RunStart) and isinstance(records[-1], RunStop)
    assert [record.seq for record in records] == list(range(len(records)))
    assert [record.source_name for record in fields] == [image.name for image in images]
    assert {record.status for record in fields} <= {FieldStatus.OK, FieldStatus.EMPTY}
    assert records[-1].sums_match and records[-1].triggers == len(images)


def test_the_source_of_the_demo_is_a_slide_with_an_end() -> None:
    source = open_source("virtual:seed=42,fields=3,wbc=1.5", None)
    assert source.info.n_fields == 3 and source.info.is_synthetic
    source.close()
