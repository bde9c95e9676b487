"""A bundle loads only when it is whole, and says in one sentence what is wrong when it is not."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.contracts.bundle import CARD, MANIFEST, MODEL, Bundle, class_table, load_bundle, write_bundle
from edge.contracts.errors import BundleError

FIELDS: dict[str, Any] = {
    "name": "contract-test",
    "architecture": "none",
    "um_per_px": 0.13,
    "field_width_px": 732,
    "field_height_px": 574,
    "network_width_px": 416,
    "network_height_px": 416,
    "top_k": 256,
    "classes": class_table(),
    "training": {"trained": False, "code_version": "test", "seed": 1},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    files = {MODEL: b"not a graph, but hashed like one", CARD: b"# card\n", "extra/notes.txt": b"nested"}
    return write_bundle(tmp_path / "bundle", FIELDS, files)


def _change(bundle: Bundle, edit: Callable[[dict[str, Any]], Any]) -> None:
    file = bundle.path / MANIFEST
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def test_what_was_written_is_what_loads(bundle: Bundle) -> None:
    again = load_bundle(str(bundle.path))
    assert again == bundle
    assert again.bundle_id == hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()
    assert set(again.manifest.files) == {MODEL, CARD, "extra/notes.txt"}
    assert again.model_path.read_bytes() == b"not a graph, but hashed like one"


@pytest.mark.parametrize("name", [MODEL, CARD, "extra/notes.txt"])
def test_one_changed_byte_is_noticed_and_named(bundle: Bundle, name: str) -> None:
    content = bytearray((bundle.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle.path / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"damaged: {name}"):
        load_bundle(bundle.path)


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    (bundle.path / CARD).unlink()
    with pytest.raises(BundleError, match=f"lacks its file {CARD}"):
        load_bundle(bundle.path)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        pytest.param(lambda m: m.update(colour="BGR"), "`colour` is not a known key", id="unknown key"),
        pytest.param(lambda m: m["thresholds"].update(detct=0.3), "`thresholds.detct` is not a known key", id="typing slip"),
        pytest.param(lambda m: m["classes"].reverse(), "in this order", id="labels would name other cells"),
        pytest.param(lambda m: m["classes"].pop(), "in this order", id="a class is missing"),
        pytest.param(lambda m: m.update(schema_version=2), "schema_version", id="a later schema"),
        pytest.param(lambda m: m.update(um_per_px=0), "um_per_px", id="no scale"),
        pytest.param(lambda m: m.update(um_per_px=float("nan")), "um_per_px", id="scale is not a number"),
        pytest.param(lambda m: m.update(field_width_px=31), "field_width_px", id="field under the least size"),
        pytest.param(lambda m: m["thresholds"].update(detect=1.01), "thresholds.detect", id="threshold over one"),
        pytest.param(
            lambda m: m["thresholds"].update(identify_by_class={"neutrofil": 0.5}), "unknown classes", id="unknown class"
        ),
        pytest.param(lambda m: m["files"].pop(MODEL), f"must name {MODEL}", id="no graph"),
        pytest.param(lambda m: m["files"].update({"../outside": "0" * 64}), "points outside", id="path traversal"),
        pytest.param(lambda m: m["files"].update({"a/../../b": "0" * 64}), "points outside", id="traversal in mid-path"),
        pytest.param(lambda m: m["files"].update({"/etc/hostname": "0" * 64}), "points outside", id="absolute path"),
        pytest.param(lambda m: m["files"].update({MODEL: "abc"}), "model.onnx", id="not a SHA-256"),
        pytest.param(lambda m: m.pop("training"), "training", id="no provenance"),
    ],
)
def test_a_manifest_that_breaks_the_contract_is_refused(
    bundle: Bundle, edit: Callable[[dict[str, Any]], Any], says: str
) -> None:
    _change(bundle, edit)
    with pytest.raises(BundleError, match="cannot be used") as refused:
        load_bundle(bundle.path)
    assert says in str(refused.value)
    assert str(bundle.path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}"], ids=["empty", "truncated", "a list", "not UTF-8"])
def test_a_manifest_that_is_no_document_is_refused(bundle: Bundle, content: bytes) -> None:
    (bundle.path / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match="cannot be used"):
        load_bundle(bundle.path)


@pytest.mark.parametrize("exists", [True, False], ids=["folder without a manifest", "no folder"])
def test_what_is_no_bundle_is_called_so(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "other"
    if exists:
        folder.mkdir()
    with pytest.raises(BundleError, match="is not a bundle"):
        load_bundle(folder)


def test_a_bundle_is_never_overwritten(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="immutable"):
        write_bundle(bundle.path, FIELDS, {MODEL: b"other weights"})
    assert load_bundle(bundle.path) == bundle


LOOK: dict[str, Any] = {"looks": 8, "crop_side_px": 64, "crop_um": 16.64}


def test_a_second_look_is_stated_where_there_is_one(bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.manifest.second_look is None, "bundles from before it have none"
    stated = {**LOOK, "taught": ["monocyte", "no_cell"], "class_weights": {"no_cell": 0.5}}
    with_look = write_bundle(tmp_path / "with", {**FIELDS, "second_look": stated}, {MODEL: b"graph"})
    look = load_bundle(with_look.path).manifest.second_look
    assert look is not None and look.class_weights == {"no_cell": 0.5} and look.outputs()[-2:] == ("no_cell", "unknown")
    assert not look.says_unknown, "those of before have no such output"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("taught", ["macrophage"], id="a-class-that-there-is-not"),
        pytest.param("class_weights", {"macrophage": 1.0}, id="a-weight-of-none"),
        pytest.param("looks", 0, id="no-look-at-all"),
        pytest.param("temperature", 0.0, id="a-division-by-nothing"),
    ],
)
def test_what_a_second_look_cannot_be_is_refused(bundle: Bundle, key: str, value: object) -> None:
    _change(bundle, lambda content: content.update(second_look={**LOOK, key: value}))
    with pytest.raises(BundleError, match="second_look"):
        load_bundle(bundle.path)
