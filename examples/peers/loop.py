"""What the peers share: how one is asked for rounds, and what each does after its network.

A peer is a program: `python PEER.py --model plain.onnx --graph model.onnx --video fields.avi`. Its first line of output is
`{"name": ...}`, or `{"skipped": "why"}`. For every line with a number on its standard input it runs so many fields and answers
with one line of JSON: `{"ms": [milliseconds of each]}`, `{"ms_per_field": ...}` where it knows no more, or `{"failed": "why"}`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

DETECT, SUPPRESS = 0.3, 0.5


def arguments() -> argparse.Namespace:
    """Of every peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="the plain graph that plain_onnx.py writes")
    parser.add_argument("--graph", help="the bundle's model.onnx")
    parser.add_argument("--video", required=True)
    parser.add_argument("--threads", type=int, default=0, help="0: the library's own number")
    parser.add_argument("--precision", default="f32")
    return parser.parse_args()


def answer(name: str, video: str, on_field: Callable[[np.ndarray], object]) -> None:
    """Say who this is, and then run rounds: `on_field` for each frame of the video, from its beginning again when it ends."""
    frames = cv2.VideoCapture(video)
    print(json.dumps({"name": name}), flush=True)
    for line in sys.stdin:
        times_ms = []
        for _ in range(int(line)):
            began = time.perf_counter()
            read, frame = frames.read()
            if not read:
                frames = cv2.VideoCapture(video)
                _, frame = frames.read()
            on_field(frame)
            times_ms.append(1e3 * (time.perf_counter() - began))
        print(json.dumps({"ms": times_ms}), flush=True)


def skipped(why: str) -> None:
    """This peer cannot run here."""
    print(json.dumps({"skipped": why}), flush=True)
    sys.exit(0)


def cells(boxes: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, int, float]]:
    """Boxes that are one of the classes by their score, suppressed; boxes [n, 4] as x1 y1 x2 y2, scores [n, classes]."""
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= DETECT)
    sizes = [[float(x1), float(y1), float(x2 - x1), float(y2 - y1)] for x1, y1, x2, y2 in boxes[kept]]
    chosen = cv2.dnn.NMSBoxes(sizes, best[kept].tolist(), DETECT, SUPPRESS)
    return [(boxes[kept[k]], int(scores[kept[k]].argmax()), float(best[kept[k]])) for k in np.array(chosen).flatten()]
