"""A bundle as inference servers load it: a model repository for Triton, and one for OpenVINO Model Server.

    DIR/triton/leuko-ID/config.pbtxt        tritonserver --model-repository=DIR/triton
    DIR/triton/leuko-ID/VERSION/model.onnx
    DIR/ovms/config.json                    ovms --config_path DIR/ovms/config.json --port 9000
    DIR/ovms/leuko-ID/VERSION/model.onnx

Both speak KServe v2 over gRPC. Name and version are the bundle's id. Batches of several edges are put together by Triton.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.errors import ConfigError
from edge.contracts.served_model import model_name, model_version
from edge.contracts.version import VERSION
from edge.engine.base import INPUT, expected_outputs

_TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}


@dataclass(frozen=True, slots=True)
class Repository:
    """What was written, and how the server of each kind is started on it."""

    model: str
    version: int
    folders: dict[str, Path]
    commands: dict[str, str]


def write_repository(bundle: Bundle, out: Path, *, max_batch: int, queue_delay_us: int, gpu: bool) -> Repository:
    """Write both; models of other bundles that are there stay. `out` is what the servers see, so that it is on their machine.

    Raises `ConfigError` when this bundle is there already, or an int8 one, OSError when it cannot be written.
    """
    if bundle.manifest.quantisation is not None:
        raise ConfigError(
            f"bundle {bundle.path} is an int8 one, whose gate is passed on the CPU that runs it; serve its parent, bundle "
            f"{bundle.manifest.quantisation.parent_bundle_id[:12]}."
        )
    name, version = model_name(bundle.bundle_id), model_version(bundle.bundle_id)
    triton, ovms = out / "triton", out / "ovms"
    for place in (triton, ovms):
        if (place / name).exists():
            raise ConfigError(
                f"{place / name} is there already: a served bundle is never changed; remove it, or give another --out."
            )
    content = bundle.read_model()
    for place in (triton, ovms):
        _put(place, name, version, content, _triton(bundle, max_batch, queue_delay_us, gpu) if place == triton else None)
    _list_for_ovms(ovms)
    commands = {
        "triton": f"tritonserver --model-repository={triton.resolve()}",
        "ovms": f"ovms --config_path {(ovms / 'config.json').resolve()} --port 9000",
    }
    return Repository(name, version, {"triton": triton / name, "ovms": ovms / name}, commands)


def _put(place: Path, name: str, version: int, content: bytes, config: str | None) -> None:
    """Under another name until it is whole: a server that looks again and again must not load half of it."""
    part = place / f".{name}-{os.getpid()}"
    try:
        (part / str(version)).mkdir(parents=True)
        (part / str(version) / MODEL).write_bytes(content)
        if config is not None:
            (part / "config.pbtxt").write_text(config, encoding="utf-8")
        part.rename(place / name)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _triton(bundle: Bundle, max_batch: int, queue_delay_us: int, gpu: bool) -> str:
    """The configuration that Triton's ONNX Runtime backend takes. Frames of any size; a batch holds frames of one size."""
    outputs = ",\n".join(
        f'  {{ name: "{name}" data_type: {_TYPES[kind]} dims: [ {", ".join(map(str, shape))} ] }}'
        for name, (shape, kind) in expected_outputs(bundle.manifest.top_k).items()
    )
    return f"""# {bundle.manifest.name}, written by leukostream {VERSION}
name: "{model_name(bundle.bundle_id)}"
backend: "onnxruntime"
default_model_filename: "{MODEL}"
max_batch_size: {max_batch}
input [ {{ name: "{INPUT}" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }} ]
output [
{outputs}
]
version_policy: {{ specific: {{ versions: [ {model_version(bundle.bundle_id)} ] }} }}
dynamic_batching {{ max_queue_delay_microseconds: {queue_delay_us} }}
instance_group [ {{ count: 1 kind: {"KIND_GPU" if gpu else "KIND_CPU"} }} ]
parameters {{ key: "bundle_id" value {{ string_value: "{bundle.bundle_id}" }} }}
parameters {{ key: "onnx_sha256" value {{ string_value: "{bundle.manifest.files[MODEL]}" }} }}
"""


def _list_for_ovms(place: Path) -> None:
    """Every model that is there, in one list: the server takes no folder of models."""
    models = [
        {"config": {"name": folder.name, "base_path": str(folder.resolve()), "model_version_policy": {"all": {}}}}
        for folder in sorted(place.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]
    (place / "config.json").write_text(json.dumps({"model_config_list": models}, indent=1) + "\n", encoding="utf-8")
