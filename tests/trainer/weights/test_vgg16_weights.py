"""Pretrained VGG16 files of the three kinds in use: what is read numerically, and what is said of a file that does not fit."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.caffe_file import caffemodel, prototxt

from edge.contracts.errors import ConfigError, DataError
from trainer.models.ssd import Ssd300
from trainer.models.vgg16 import CONVOLUTIONS
from trainer.models.yolov3_tiny import YoloV3Tiny
from trainer.weights.vgg16_weights import load_vgg16

FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
NAMES = [f"trunk.layers.{layer.name}.{part}" for layer in CONVOLUTIONS for part in ("weight", "bias")]

# One store of random numbers that all tensors look into at different places: files stay small, no two tensors are alike.
STORE = torch.randn(5_000_000, generator=torch.Generator().manual_seed(0)) * 0.02


def view(place: int, *shape: int) -> torch.Tensor:
    return STORE[place * 977 :][: int(np.prod(shape))].view(shape)


def reduced(names: list[str]) -> dict[str, torch.Tensor]:
    """All 15 layers as convolutions under the given names."""
    tensors = {}
    for place, (layer, name) in enumerate(zip(CONVOLUTIONS, names, strict=True)):
        tensors[f"{name}.weight"] = view(place, layer.channels_out, layer.channels_in, layer.kernel, layer.kernel)
        tensors[f"{name}.bias"] = view(100 + place, layer.channels_out)
    return tensors


def torchvision() -> dict[str, torch.Tensor]:
    tensors = reduced([*(f"features.{k}" for k in FEATURES), "classifier.0", "classifier.3"])
    tensors["classifier.0.weight"] = STORE.as_strided((4096, 25088), (1031, 5))
    tensors["classifier.3.weight"] = STORE.as_strided((4096, 4096), (1033, 7))
    tensors["classifier.0.bias"], tensors["classifier.3.bias"] = view(200, 4096), view(201, 4096)
    return tensors


def reduced_torch() -> dict[str, torch.Tensor]:
    return reduced([str(k) for k in (*FEATURES, 31, 33)])


def caffe() -> dict[str, NDArray[np.float32]]:
    return {key: value.numpy() for key, value in reduced([layer.name for layer in CONVOLUTIONS]).items()}


@pytest.fixture(scope="module")
def imagenet() -> Ssd300:
    return Ssd300(15, 300, 300)


@pytest.fixture(scope="module")
def of_caffe() -> Ssd300:
    return Ssd300(15, 300, 300, normalisation="caffe")


def parameter(detector: Ssd300, name: str) -> torch.Tensor:
    return detector.state_dict()[f"trunk.layers.{name}"]


def test_torchvisions_fully_connected_layers_become_every_fourth_output_at_every_third_position(
    imagenet: Ssd300, tmp_path: Path
) -> None:
    tensors = torchvision()
    torch.save(tensors, tmp_path / "vgg16.pth")
    heads = {name: value.clone() for name, value in imagenet.state_dict().items() if not name.startswith("trunk.")}
    assert load_vgg16(imagenet, tmp_path / "vgg16.pth") == NAMES
    for layer, k in zip(CONVOLUTIONS, FEATURES, strict=False):
        torch.testing.assert_close(parameter(imagenet, f"{layer.name}.weight"), tensors[f"features.{k}.weight"], rtol=0, atol=0)
        torch.testing.assert_close(parameter(imagenet, f"{layer.name}.bias"), tensors[f"features.{k}.bias"], rtol=0, atol=0)
    fc6, flat = parameter(imagenet, "fc6.weight"), tensors["classifier.0.weight"]
    for out, channel, row, column in ((0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 2, 0), (3, 7, 1, 2), (1023, 511, 2, 2)):
        assert fc6[out, channel, row, column] == flat[4 * out, channel * 49 + 3 * row * 7 + 3 * column]
    fc7 = parameter(imagenet, "fc7.weight")
    for out, channel in ((0, 0), (1, 0), (0, 1), (1023, 1023)):
        assert fc7[out, channel, 0, 0] == tensors["classifier.3.weight"][4 * out, 4 * channel]
    assert parameter(imagenet, "fc6.bias")[5] == tensors["classifier.0.bias"][20]
    assert parameter(imagenet, "fc7.bias")[6] == tensors["classifier.3.bias"][24]
    assert all(torch.equal(value, imagenet.state_dict()[name]) for name, value in heads.items())


@pytest.mark.parametrize(
    "zipped", [pytest.param(False, id="the-old-format-the-published-file-has"), pytest.param(True, id="saved-again-today")]
)
def test_the_numbered_reduced_file_is_taken_as_it_is(of_caffe: Ssd300, tmp_path: Path, zipped: bool) -> None:
    tensors = reduced_torch()
    torch.save(tensors, tmp_path / "vgg16_reducedfc.pth", _use_new_zipfile_serialization=zipped)
    assert load_vgg16(of_caffe, tmp_path / "vgg16_reducedfc.pth") == NAMES
    for layer, k in zip(CONVOLUTIONS, (*FEATURES, 31, 33), strict=True):
        assert torch.equal(parameter(of_caffe, f"{layer.name}.weight"), tensors[f"{k}.weight"])
        assert torch.equal(parameter(of_caffe, f"{layer.name}.bias"), tensors[f"{k}.bias"])


@pytest.mark.parametrize(
    "old", [pytest.param(True, id="layers-and-four-dimensions-of-2014"), pytest.param(False, id="layers-and-shapes-of-today")]
)
def test_the_trunk_computes_what_opencv_computes_from_the_same_caffe_file(of_caffe: Ssd300, tmp_path: Path, old: bool) -> None:
    path = tmp_path / "VGG_ILSVRC_16_layers_fc_reduced.caffemodel"
    path.write_bytes(caffemodel(caffe(), old))
    assert load_vgg16(of_caffe, path) == NAMES
    bgr = (
        np.random.default_rng(0).integers(0, 256, (1, 3, 60, 44), dtype=np.uint8).astype(np.float32)
    )  # leaves 15 x 11: rounds up
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt(60, 44), np.uint8), np.frombuffer(path.read_bytes(), np.uint8))
    net.setInput(bgr - np.array([104, 117, 123], np.float32).reshape(1, 3, 1, 1))
    conv4_3, fc7 = net.forward(["relu_conv4_3", "relu_fc7"])
    rgb = torch.from_numpy(bgr[:, ::-1] / 255)
    with torch.no_grad():
        ours = of_caffe.trunk((rgb - of_caffe.mean) / of_caffe.deviation)
    assert conv4_3.shape == (1, 512, 8, 6) and fc7.shape == (1, 1024, 4, 3) and fc7.std() > 0
    for theirs, mine in ((conv4_3, ours[0]), (fc7, ours[1])):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-4 * theirs.max())


def without_fc7(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if not key.startswith("33.")}


def with_1000_classes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**tensors, "31.weight": view(0, 1000, 512, 3, 3)}


def not_a_number(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**tensors, "31.weight": torch.full((1024, 512, 3, 3), torch.nan)}


def resnet(_: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"conv1.weight": view(0, 64, 3, 7, 7), "layer1.0.conv1.weight": view(0, 64, 64, 1, 1)}


def checkpoint(tensors: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"epoch": 3, "state_dict": tensors}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(without_fc7, "no tensor 33.weight", id="a-layer-is-missing"),
        pytest.param(with_1000_classes, "31.weight is 1000x512x3x3 where .* has 1024x512x3x3", id="another-shape"),
        pytest.param(
            not_a_number, "31.weight holds values that are no numbers", id="a-features-only-file-is-filled-up-with-nan"
        ),
        pytest.param(resnet, "no VGG16: it holds conv1.weight", id="another-network"),
        pytest.param(checkpoint, "no state dict", id="a-checkpoint-around-the-weights"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused_and_nothing_is_set(
    of_caffe: Ssd300, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object], said: str
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(change(reduced_torch()), path)
    before = parameter(of_caffe, "conv1_1.weight").clone()
    with pytest.raises(DataError, match=said):
        load_vgg16(of_caffe, path)
    assert torch.equal(parameter(of_caffe, "conv1_1.weight"), before)


def small(change: Callable[[dict[str, NDArray[np.float32]]], None] = lambda _: None) -> bytes:
    tensors = {key: value for key, value in caffe().items() if key.startswith("conv1")}
    change(tensors)
    return caffemodel(tensors, old=False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("a.caffemodel", small()[:-1000], "1000 bytes are missing", id="caffe-cut-short-in-the-middle-of-a-layer"),
        pytest.param("a.caffemodel", b"", "no layer with weights", id="caffe-empty"),
        pytest.param("a.caffemodel", b"\x7fELF" + bytes(100), "no Caffe model", id="caffe-a-program"),
        pytest.param("a.caffemodel", small(), "no tensor conv2_1.weight", id="caffe-another-network"),
        pytest.param(
            "a.caffemodel",
            small(lambda t: t.update({"conv1_1.weight": t["conv1_1.weight"][:, :1]})),
            "conv1_1.weight is 64x1x3x3 where .* has 64x3x3x3",
            id="caffe-trained-on-grey-pictures",
        ),
        pytest.param("a.pth", b"PK\x03\x04" + bytes(300), "304 bytes", id="torch-damaged-archive"),
        pytest.param("a.pth", b"", "0 bytes", id="torch-empty"),
        pytest.param("a.pth", b"<!DOCTYPE html><html>", "no file of tensors", id="torch-a-web-page-saved-instead"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_with_what_is_wrong(
    of_caffe: Ssd300, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        load_vgg16(of_caffe, tmp_path / name)
    assert name in str(raised.value)


def test_a_torch_file_cut_short_says_so(of_caffe: Ssd300, tmp_path: Path) -> None:
    path = tmp_path / "vgg16_reducedfc.pth"
    for zipped in (False, True):
        torch.save({"0.weight": view(0, 64, 3, 3, 3).clone()}, path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(DataError, match="cut short"):
            load_vgg16(of_caffe, path)


def test_weights_for_another_normalisation_are_refused_with_the_setting_to_change(imagenet: Ssd300, tmp_path: Path) -> None:
    torch.save(reduced_torch(), tmp_path / "vgg16_reducedfc.pth")
    with pytest.raises(ConfigError, match=r"set `options.normalisation` to caffe"):
        load_vgg16(imagenet, tmp_path / "vgg16_reducedfc.pth")


def test_a_detector_without_the_trunk_and_a_path_without_a_file_are_refused(imagenet: Ssd300, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ssd300"):
        load_vgg16(YoloV3Tiny(15, 96, 96), tmp_path / "x.pth")
    with pytest.raises(DataError, match="do not exist"):
        load_vgg16(imagenet, tmp_path / "x.pth")


def test_a_file_that_would_run_code_is_not_unpickled(imagenet: Ssd300, tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (marker,)

    torch.save({"features.0.weight": Trap()}, tmp_path / "x.pth")
    with pytest.raises(DataError):
        load_vgg16(imagenet, tmp_path / "x.pth")
    assert not marker.exists()
