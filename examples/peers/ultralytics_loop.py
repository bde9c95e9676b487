"""Ultralytics' predict loop with a network of its own (yolov3-tiny, untrained, its own head): where it is installed.

It needs torchvision, which stands badly beside other torch builds, so that it is best installed in an environment of its own,
whose Python the variable LEUKO_ULTRALYTICS_PYTHON names.
"""

import os
import subprocess
import sys

from loop import answer, arguments, skipped

OWN = "LEUKO_ULTRALYTICS_PYTHON"


def main() -> None:
    """Read a frame, let it predict."""
    own = os.environ.get(OWN)
    if own and os.path.realpath(own) != os.path.realpath(sys.executable):
        sys.exit(subprocess.call([own, *sys.argv]))
    asked = arguments()
    try:
        import torch
        import ultralytics
    except ImportError:
        skipped(f"ultralytics is not installed; name the Python of an environment that has it in {OWN}")
    if asked.threads:
        torch.set_num_threads(asked.threads)
    network = ultralytics.YOLO("yolov3-tiny.yaml")
    name = f"ultralytics {ultralytics.__version__}, yolov3-tiny with its own head, untrained"
    answer(name, asked.video, lambda frame: network.predict(frame, imgsz=416, verbose=False))


if __name__ == "__main__":
    main()
