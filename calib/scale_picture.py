"""The image of a stage micrometer with every line that was found drawn into it, so that a person sees what was measured."""

from pathlib import Path

import cv2
import numpy as np

from calib.stage_micrometer import Scale
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError
from edge.contracts.whole_file import write_whole

_FOUND_BGR = (40, 40, 230)
_LONG_SIDE_PX = 1600


def write_scale_picture(path: Path, image: Image, scale: Scale, caption: str) -> None:
    """Write `image` with its lines, numbered from 1, and a caption under it. Raises `ConfigError` when that is impossible."""
    larger = max(1.0, min(4.0, _LONG_SIDE_PX / max(image.shape[:2])))
    picture = cv2.resize(image, None, fx=larger, fy=larger, interpolation=cv2.INTER_LINEAR)
    apart = scale.spacing.spacing_px * larger
    every = max(1, int(np.ceil(40 / apart)))
    for at, (x1, y1, x2, y2) in enumerate(scale.lines * larger):
        ends = ((round(x1), round(y1)), (round(x2), round(y2)))
        cv2.line(picture, *ends, _FOUND_BGR, 2 if apart > 20 else 1, cv2.LINE_AA)
        if at % every == 0:
            cv2.putText(picture, str(at + 1), ends[1], cv2.FONT_HERSHEY_SIMPLEX, 0.5, _FOUND_BGR, 1, cv2.LINE_AA)
    bar = np.full((36, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, caption, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    try:
        encoded = cv2.imencode(path.suffix, np.vstack((picture, bar)))[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, encoded.tobytes())
    except cv2.error as problem:
        raise ConfigError(f"{path} has no suffix of an image; name the picture like lines.png.") from problem
    except OSError as problem:
        raise ConfigError(
            f"picture {path} cannot be written ({problem.strerror}); give another file with --picture."
        ) from problem
