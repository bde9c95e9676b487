"""Ultralytics' predict loop with a network of its own (yolov3-tiny, untrained, its own head): where it is installed.

It needs torchvision, which stands badly beside other torch builds, so that it is best installed in an environment of its own,
whose Python the variable LEUKO_ULTRALYTICS_PYTHON names:

    python -m venv OTHER && OTHER/bin/pip install ultralytics
    LEUKO_ULTRALYTICS_PYTHON=OTHER/bin/python leuko-edge bench --peers
"""

import argparse
import os
import subprocess
import sys
import tempfile
import types

from loop import answer, arguments, skipped

OWN = "LEUKO_ULTRALYTICS_PYTHON"


def main() -> None:
    """Read a frame, let it predict."""
    # Once: two environments of one Python are told apart by nothing but the path that they were called by.
    own = os.environ.pop(OWN, None)
    if own:
        try:
            sys.exit(subprocess.call([own, *sys.argv]))
        except OSError as problem:
            skipped(f"{own}, which {OWN} names, is no program ({problem.strerror})")
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="leuko-ultralytics-") as place:
        # It would tell a public server of its use, and write its settings into the home directory.
        os.environ |= {"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": place}
        try:
            import torch
            import ultralytics
        except ImportError as problem:
            skipped(f"ultralytics is not installed ({problem}); name the Python of an environment that has it in {OWN}")
        _serve(asked, torch, ultralytics)


def _serve(asked: argparse.Namespace, torch: types.ModuleType, ultralytics: types.ModuleType) -> None:
    if asked.threads:
        torch.set_num_threads(asked.threads)
    network = ultralytics.YOLO("yolov3-tiny.yaml")
    name = f"ultralytics {ultralytics.__version__}, yolov3-tiny with its own head, untrained"
    answer(name, asked.video, lambda frame: network.predict(frame, imgsz=416, verbose=False))


if __name__ == "__main__":
    main()
