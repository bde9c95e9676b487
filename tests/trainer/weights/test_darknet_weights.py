"""Darknet's files: OpenCV sees what we see in what we write; whole, partial and foreign files are read, bad ones refused."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.yolo_cases import spread

from edge.contracts.errors import ConfigError, DataError
from trainer.models.catalogue import build_detector
from trainer.models.yolo_detector import YoloDetector
from trainer.weights.darknet_layout import darknet_cfg, darknet_sections
from trainer.weights.darknet_weights import load_darknet, write_darknet

SIZE_PX = WIDTH_PX, HEIGHT_PX = 96, 64
TINY_CONV_15 = 7_743_344 * 4 + 20


def as_darknet_reports(detector: YoloDetector, images: torch.Tensor) -> list[np.ndarray]:
    """Per head [h * w * 3, 5 + C], as Darknet's yolo layer: centre and size over the image's, objectness, scores."""
    rows = []
    whole = torch.tensor([WIDTH_PX, HEIGHT_PX])
    for head, x in zip(detector.yolo_heads(), detector(images), strict=True):
        boxes, objectness, classes = (part[0] for part in head.decode(x))
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        scores = objectness.sigmoid() * classes.sigmoid()
        found = torch.cat((centres / whole, sizes / whole, objectness.sigmoid(), scores), dim=1)
        rows.append(found.view(3, -1, found.shape[1]).transpose(0, 1).reshape(-1, found.shape[1]).numpy())
    return rows


@pytest.mark.parametrize("architecture", ["yolov3-tiny", "yolov3"])
def test_opencv_reads_what_is_written_and_sees_the_same(architecture: str, tmp_path: Path) -> None:
    detector = spread(architecture, SIZE_PX, 1)
    for norm in detector.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.eps = 1e-6  # OpenCV's, as Darknet's on the CPU; on the GPU Darknet adds 1e-5 to a variance, as we do
    write_darknet(detector, tmp_path / "net.weights")
    (tmp_path / "net.cfg").write_text(darknet_cfg(detector))
    network = cv2.dnn.readNetFromDarknet(str(tmp_path / "net.cfg"), str(tmp_path / "net.weights"))
    image = np.random.default_rng(0).random((1, 3, HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    network.setInput(image)
    theirs = {len(output): output for output in network.forward(network.getUnconnectedOutLayersNames())}
    with torch.no_grad():
        ours = as_darknet_reports(detector, torch.from_numpy(image))
    assert len(theirs) == len(ours)
    for rows in ours:
        other = theirs[len(rows)]
        np.testing.assert_allclose(rows[:, :5], other[:, :5], atol=1e-4)
        told = other[:, 5:] > 0  # OpenCV writes 0 for scores under 0.2
        assert told.mean() > 0.5 and rows[:, 5:][~told].max(initial=0) < 0.2001
        np.testing.assert_allclose(rows[:, 5:][told], other[:, 5:][told], atol=1e-4)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("darknet") / "tiny.weights"
    write_darknet(spread("yolov3-tiny", SIZE_PX, 1), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def unharmed() -> tuple[YoloDetector, dict[str, torch.Tensor]]:
    """A detector that refuses files, and what it holds."""
    detector = spread("yolov3-tiny", SIZE_PX, 2)
    return detector, {name: value.clone() for name, value in detector.state_dict().items()}


def same(a: YoloDetector, b: YoloDetector, names: list[str]) -> list[bool]:
    values, others = a.state_dict(), b.state_dict()
    return [torch.equal(values[name], others[name]) for name in names]


def test_a_whole_file_sets_every_weight(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(written)
    source, detector = spread("yolov3-tiny", SIZE_PX, 1), spread("yolov3-tiny", SIZE_PX, 2)
    names = load_darknet(detector, tmp_path / "whole")
    assert set(names) == {name for name in source.state_dict() if not name.endswith("num_batches_tracked")}
    assert all(same(source, detector, names))


def test_a_file_of_an_old_darknet_has_a_shorter_header(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(struct.pack("<iiii", 0, 1, 0, 640) + written[20:])
    source, detector = spread("yolov3-tiny", SIZE_PX, 1), spread("yolov3-tiny", SIZE_PX, 2)
    assert all(same(source, detector, load_darknet(detector, tmp_path / "old")))


def test_tiny_conv_15_sets_its_nine_convolutions_and_nothing_else(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "yolov3-tiny.conv.15").write_bytes(written[:TINY_CONV_15])
    source, detector, before = (spread("yolov3-tiny", SIZE_PX, seed) for seed in (1, 2, 2))
    names = load_darknet(detector, tmp_path / "yolov3-tiny.conv.15")
    assert {name.split(".")[0] for name in names} == {"to_stride_16", "to_stride_32", "coarse"}
    assert len(names) == 9 * 5 and names[-1] == "coarse.0.conv.weight"
    assert all(same(source, detector, names))
    others = [name for name in before.state_dict() if name not in names]
    assert all(same(before, detector, others))


def test_darknet53_conv_74_is_the_trunk_of_yolov3(tmp_path: Path) -> None:
    path, detector = tmp_path / "darknet53.conv.74", build_detector("yolov3", 15, SIZE_PX, {}, 3)
    numbers = np.random.default_rng(0).random(40_620_640, dtype=np.float32)
    path.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 32_013_312) + numbers.tobytes())
    names = load_darknet(detector, path)
    trunk = {name for name in detector.state_dict() if name.startswith("trunk.")}
    assert set(names) == {name for name in trunk if not name.endswith("num_batches_tracked")}
    assert detector.get_parameter(names[0])[0] == numbers[0]
    assert detector.get_parameter(names[-1]).flatten()[-1] == numbers[-1]


def test_a_network_of_other_classes_gives_all_but_the_last_layer_of_each_head(tmp_path: Path) -> None:
    source, detector, before = (
        spread("yolov3-tiny", SIZE_PX, 1, n_classes=80),
        *(spread("yolov3-tiny", SIZE_PX, 2) for _ in range(2)),
    )
    write_darknet(source, tmp_path / "coco.weights")
    names = load_darknet(detector, tmp_path / "coco.weights")
    heads = ["coarse.1.bias", "coarse.1.weight", "fine.1.bias", "fine.1.weight"]
    assert set(heads).isdisjoint(names) and len(names) == 11 * 5
    assert all(same(source, detector, names)) and all(same(before, detector, heads))


@pytest.mark.parametrize(
    ("sections", "convolutions"),
    [
        pytest.param(8, 4, id="less-than-its-name-says"),
        pytest.param(16, 10, id="more-than-its-name-says"),
    ],
)
def test_a_partial_file_holds_what_its_name_says(
    written: bytes, tmp_path: Path, unharmed: tuple[YoloDetector, dict[str, torch.Tensor]], sections: int, convolutions: int
) -> None:
    path = tmp_path / f"yolov3-tiny.conv.{sections}"
    path.write_bytes(written[:TINY_CONV_15])
    with pytest.raises(DataError, match=f"holds the first 9 .* stands for {convolutions};"):
        load_darknet(unharmed[0], path)


def test_a_whole_file_of_other_classes_that_is_cut_off_is_refused(
    tmp_path: Path, unharmed: tuple[YoloDetector, dict[str, torch.Tensor]]
) -> None:
    path = tmp_path / "coco.weights"
    write_darknet(spread("yolov3-tiny", SIZE_PX, 1, n_classes=80), path)
    whole = path.read_bytes()
    one_class = 4 * 770 * 3
    for missing, sentence in (
        (4, "is cut off or was made for another"),
        (one_class, "impossible values"),
        (8 * 10**6, "ends within"),
    ):
        path.write_bytes(whole[:-missing])
        with pytest.raises(DataError, match=sentence):
            load_darknet(unharmed[0], path)


def with_value(content: bytes, index: int, value: float) -> bytes:
    at = 20 + 4 * index
    return content[:at] + struct.pack("<f", value) + content[at + 4 :]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(
            lambda c: c[: 20 + 4 * 400],
            "ends within convolution 1 of 13 of YoloV3Tiny with 15 classes (to_stride_16.0.conv.weight): 96 of its 496 values",
            id="cut-off-in-the-first-convolution",
        ),
        pytest.param(
            lambda c: c[:-8],
            "convolution 13 of 13 of YoloV3Tiny with 15 classes (fine.1.weight): 2 of",
            id="cut-off-at-its-end",
        ),
        pytest.param(
            lambda c: c[:TINY_CONV_15],
            "holds the first 9 convolutions of YoloV3Tiny, where its name stands for 13; it is cut off",
            id="cut-off-between-two-convolutions",
        ),
        pytest.param(lambda c: c + bytes(40), "holds 10 values more than the 13 convolutions", id="left-over-values"),
        pytest.param(lambda c: c + bytes(4 * 770 * 3), "impossible values for", id="left-over-values-as-many-as-a-class-has"),
        pytest.param(lambda c: c[:-3], "no whole number of values", id="cut-off-within-a-value"),
        pytest.param(lambda c: c[:20], "no whole number of values", id="a-header-alone"),
        pytest.param(lambda c: c[:9], "less than the header", id="half-a-header"),
        pytest.param(lambda c: b"PK\x03\x04" + c, "its header says version 67324752.0.2", id="a-zip-file"),
        pytest.param(lambda c: b"<!DOCTYPE html>" + c, "is no Darknet file", id="the-page-instead-of-the-file"),
        pytest.param(
            lambda c: with_value(c, 500, float("nan")), "impossible values for to_stride_16.2.norm.bias", id="not-a-number"
        ),
        pytest.param(lambda c: with_value(c, 50, -1.0), "values for to_stride_16.0.norm.running_var", id="a-negative-variance"),
    ],
)
def test_a_bad_file_is_refused_and_changes_nothing(
    written: bytes,
    unharmed: tuple[YoloDetector, dict[str, torch.Tensor]],
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
    sentence: str,
) -> None:
    (tmp_path / "bad").write_bytes(spoil(written))
    detector, before = unharmed
    with pytest.raises(DataError, match=re.escape(sentence)):
        load_darknet(detector, tmp_path / "bad")
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_what_darknet_does_not_have_and_a_file_that_is_not_there_are_named(
    unharmed: tuple[YoloDetector, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Darknet has no Identity"):
        darknet_sections(torch.nn.Identity())  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"absent\.weights cannot be read"):
        load_darknet(unharmed[0], tmp_path / "absent.weights")
    with pytest.raises(DataError, match="could not be written"):
        write_darknet(unharmed[0], tmp_path / "nowhere" / "net.weights")
