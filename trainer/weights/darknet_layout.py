"""Our YOLO detectors as Darknet lists them: the sections of yolov3-tiny.cfg and yolov3.cfg, in their order, and the cfg itself.

A .weights file has no names. Which number belongs where follows from this order alone.
"""

from dataclasses import dataclass

from torch import nn

from edge.contracts.errors import ConfigError
from trainer.models.detector import Detector
from trainer.models.layers import ConvBlock, SamePool
from trainer.models.yolo_detector import ANCHORS_PER_HEAD, YoloDetector
from trainer.models.yolov3 import Residual, YoloV3
from trainer.models.yolov3_tiny import YoloV3Tiny

Convolution = ConvBlock | nn.Conv2d
"""A `ConvBlock` has its normalisation, a bare `Conv2d` (the last of a head) has a bias."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a cfg: its kind, its settings, and our layer where the kind has weights."""

    kind: str
    settings: dict[str, int | str]
    layer: Convolution | None = None


def darknet_sections(detector: Detector) -> list[Section]:
    """All sections after [net]. Raises `ConfigError` for a detector that Darknet does not have."""
    sections: list[Section] = []
    if isinstance(detector, YoloDetector) and detector.options.normalisation != "batch":
        raise ConfigError("Darknet normalises over batches only; train with `options.normalisation: batch`.")
    if isinstance(detector, YoloV3Tiny):
        _tiny(detector, sections)
    elif isinstance(detector, YoloV3):
        _full(detector, sections)
    else:
        raise ConfigError(f"Darknet has no {type(detector).__name__}; its weights fit yolov3 and yolov3-tiny.")
    return sections


def _tiny(detector: YoloV3Tiny, sections: list[Section]) -> None:
    _add(detector.to_stride_16, sections)
    stride_16 = len(sections) - 1
    _add(detector.to_stride_32, sections)
    _add_head(detector, detector.coarse, 1, sections)
    _add_lateral(detector.lateral, stride_16, sections)
    _add_head(detector, detector.fine, 0, sections)


def _full(detector: YoloV3, sections: list[Section]) -> None:
    _add(detector.trunk.stem, sections)
    ends = []
    for stage in detector.trunk.stages:
        _add(stage, sections)
        ends.append(len(sections) - 1)
    _add(detector.neck_32, sections)
    _add_head(detector, detector.coarse, 2, sections)
    _add_lateral(detector.lateral_16, ends[3], sections)
    _add(detector.neck_16, sections)
    _add_head(detector, detector.middle, 1, sections)
    _add_lateral(detector.lateral_8, ends[2], sections)
    _add(detector.neck_8, sections)
    _add_head(detector, detector.fine, 0, sections)


def _add(module: nn.Module, sections: list[Section]) -> None:
    if isinstance(module, ConvBlock | nn.Conv2d):
        conv = module.conv if isinstance(module, ConvBlock) else module
        settings: dict[str, int | str] = {"batch_normalize": 1} if isinstance(module, ConvBlock) else {}
        settings |= {"filters": conv.out_channels, "size": conv.kernel_size[0], "stride": conv.stride[0], "pad": 1}
        settings["activation"] = "leaky" if isinstance(module, ConvBlock) else "linear"
        sections.append(Section("convolutional", settings, module))
    elif isinstance(module, nn.MaxPool2d | SamePool):
        sections.append(Section("maxpool", {"size": 2, "stride": 1 if isinstance(module, SamePool) else 2}))
    elif isinstance(module, nn.Upsample):
        sections.append(Section("upsample", {"stride": 2}))
    else:
        # `children` leaves out a layer that a Sequential uses twice, like the pools of the tiny trunk.
        for child in module if isinstance(module, nn.Sequential) else module.children():
            _add(child, sections)
        if isinstance(module, Residual):
            sections.append(Section("shortcut", {"from": -3, "activation": "linear"}))


def _add_head(detector: YoloDetector, branch: nn.Sequential, scale: int, sections: list[Section]) -> None:
    """A head and, for what follows it, the way back to the map before the head (4 sections up)."""
    _add(branch, sections)
    heads = detector.yolo_heads()
    anchors = [f"{w:.6g},{h:.6g}" for head in heads for w, h in head.anchors.tolist()]
    mask = range(scale * ANCHORS_PER_HEAD, (scale + 1) * ANCHORS_PER_HEAD)
    settings: dict[str, int | str] = {
        "mask": ",".join(map(str, mask)),
        "anchors": ", ".join(anchors),
        "classes": detector.n_classes,
        "num": len(anchors),
    }
    sections.append(Section("yolo", settings))
    if scale:
        sections.append(Section("route", {"layers": -4}))


def _add_lateral(lateral: nn.Sequential, joined: int, sections: list[Section]) -> None:
    _add(lateral, sections)
    sections.append(Section("route", {"layers": f"-1,{joined}"}))


def darknet_cfg(detector: Detector) -> str:
    """`detector` as the text of a cfg, for inference; the network takes RGB in 0..1 at the size it says.

    Raises `ConfigError` for a detector that Darknet does not have.
    """
    size = {"width": detector.network_width_px, "height": detector.network_height_px, "channels": 3}
    blocks: list[tuple[str, dict[str, int] | dict[str, int | str]]] = [("net", {"batch": 1, **size})]
    blocks += [(section.kind, section.settings) for section in darknet_sections(detector)]
    return "\n".join(
        f"[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in settings.items()) for kind, settings in blocks
    )
