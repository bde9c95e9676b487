"""The cfg that Darknet's tools and OpenCV want beside a .weights file."""

from trainer.models.detector import Detector
from trainer.weights.darknet_layout import darknet_sections


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
