"""What `leuko-build serve-repository` writes: for both servers, whole or not at all, and never over what is there."""

import json
import re
from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

from builder.cli import main
from edge.contracts.bundle import MODEL
from edge.contracts.served_model import model_name, model_version


def serve(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["leuko-build", "serve-repository", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_both_servers_get_the_bundles_graph_under_the_bundles_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    out = tmp_path / "out"
    assert serve(monkeypatch, bundle.path, "--out", out, "--max-batch", 8, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    name, version = model_name(bundle.bundle_id), model_version(bundle.bundle_id)
    assert (said["model"], said["version"]) == (name, version)
    for place in ("triton", "ovms"):
        assert (out / place / name / str(version) / MODEL).read_bytes() == bundle.read_model()
    config = (out / "triton" / name / "config.pbtxt").read_text()
    assert re.findall(r"^(?:name|backend|max_batch_size): (\S+)", config, re.M) == [f'"{name}"', '"onnxruntime"', "8"]
    assert f'string_value: "{bundle.bundle_id}"' in config and f"versions: [ {version} ]" in config and "KIND_CPU" in config
    (model,) = json.loads((out / "ovms" / "config.json").read_text())["model_config_list"]
    assert (model["config"]["name"], model["config"]["base_path"]) == (name, str((out / "ovms" / name).resolve()))


def test_bundles_lie_side_by_side_and_none_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    bundles = [write_tiny_bundle(tmp_path / str(top_k), top_k=top_k) for top_k in (64, 128)]
    assert [serve(monkeypatch, bundle.path, "--out", out, "--gpu") for bundle in bundles] == [0, 0]
    names = sorted(model_name(bundle.bundle_id) for bundle in bundles)
    assert sorted(each.name for each in (out / "triton").iterdir()) == names, "nothing half written, nothing beside"
    listed = json.loads((out / "ovms" / "config.json").read_text())["model_config_list"]
    assert [each["config"]["name"] for each in listed] == names
    capsys.readouterr()
    assert serve(monkeypatch, bundles[0].path, "--out", out) == 2
    assert "is there already: a served bundle is never changed" in capsys.readouterr().err


def test_a_damaged_bundle_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    (bundle.path / MODEL).write_bytes(b"another graph")
    assert serve(monkeypatch, bundle.path, "--out", tmp_path / "out") == 3
    assert not (tmp_path / "out").exists() and "is damaged" in capsys.readouterr().err
