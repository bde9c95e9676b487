"""A bundle whose detections can be told from the pixels, for tests of everything behind the engine.

The graph keeps the contract of every bundle (uint8 frames of any size in; boxes, scores, labels out) and finds squares of
`BLOB_PX` pixels on a white field. A square without green is a cell; its blue and red say which class it is (`BLOBS`).
Nothing is trained: windows of the square's size are averaged every `STEP_PX` pixels, so that a box lies within half a step
of its square. Half-way colours share their presence between classes.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx.parser

from edge.contracts.bundle import MODEL, Bundle, class_table, write_bundle
from edge.contracts.cells import INDEX
from edge.contracts.detections import Image

BLOB_PX = 32
STEP_PX = 4
BLOBS: dict[str, tuple[int, int, int]] = {
    "neutrophil_segmented": (0, 0, 0),
    "lymphocyte": (255, 0, 0),
    "eosinophil": (0, 0, 255),
    "platelet_giant": (255, 0, 255),
}
"""Class name to the BGR colour of its square."""

Fault = Literal["nan_if_black", "labels_int64", "scores_named_score", "boxes_flat"]

_GRAPH = """
<ir_version: 9, opset_import: ["" : 18]>
tiny (uint8[N,H,W,3] frames) => (float[N,{K},{BOX}] boxes, float[N,{K}] {SCORES}, {LABEL_TYPE}[N,{K}] labels)
<int64[1] k = {{{K}}}, int64[1] n_classes = {{4}}, int64[1] last = {{2}}, int64[1] ax3 = {{3}},
 int64[2] flat = {{0, -1}}, int64[1] blue = {{0}}, int64[1] green = {{1}}, int64[1] red = {{2}}, int64[1] next_ax = {{4}},
 int64[4] classes = {{{CLASSES}}}, float white = {{255.0}}, float one = {{1.0}}, float cut = {{0.78}}, float steep = {{40.0}},
 float half = {{0.5}}, float side_steep = {{40.0}}, float step = {{{STEP}.0}}, float size = {{{BLOB}.0}}, int64[1] ax1 = {{1}},
 int64[1] ax2 = {{2}}, int64[1] upto = {{3}}>
{{
  as_float = Cast <to = 1> (frames)
  unit = Div (as_float, white)
  planes = Transpose <perm = [0, 3, 1, 2]> (unit)
  means = AveragePool <kernel_shape = [{BLOB}, {BLOB}], strides = [{STEP}, {STEP}]> (planes)
  g = Slice (means, green, last, ax1)
  b = Slice (means, blue, green, ax1)
  r = Slice (means, red, upto, ax1)
  dark = Sub (one, g)
  over = Sub (dark, cut)
  sharp = Mul (over, steep)
  presence = Sigmoid (sharp)
  b_over = Sub (b, half)
  b_sharp = Mul (b_over, side_steep)
  b_on = Sigmoid (b_sharp)
  b_off = Sub (one, b_on)
  r_over = Sub (r, half)
  r_sharp = Mul (r_over, side_steep)
  r_on = Sigmoid (r_sharp)
  r_off = Sub (one, r_on)
  p_black = Mul (b_off, r_off)
  p_blue = Mul (b_on, r_off)
  p_red = Mul (b_off, r_on)
  p_both = Mul (b_on, r_on)
  shares = Concat <axis = 1> (p_black, p_blue, p_red, p_both)
  by_class = Mul (shares, presence)
  channels_last = Transpose <perm = [0, 2, 3, 1]> (by_class)
  candidates = Reshape (channels_last, flat)
  best_scores, best_index = TopK <axis = 1, largest = 1, sorted = 1> (candidates, k)
  window = Div (best_index, n_classes)
  which = Mod (best_index, n_classes)
  label64 = Gather <axis = 0> (classes, which)
  shape = Shape (means)
  columns = Slice (shape, ax3, next_ax)
  row = Div (window, columns)
  column = Mod (window, columns)
  row_f = Cast <to = 1> (row)
  column_f = Cast <to = 1> (column)
  y1 = Mul (row_f, step)
  x1 = Mul (column_f, step)
  y2 = Add (y1, size)
  x2 = Add (x1, size)
  x1_u = Unsqueeze (x1, ax2)
  y1_u = Unsqueeze (y1, ax2)
  x2_u = Unsqueeze (x2, ax2)
  y2_u = Unsqueeze (y2, ax2)
  {BOXES}
  {NAN}
  labels = Cast <to = {LABEL_CODE}> (label64)
}}
"""


def tiny_model(top_k: int = 256, fault: Fault | None = None) -> bytes:
    """The ONNX graph. `nan_if_black` gives NaN scores for an all-black frame only; the other faults break the contract."""
    scores = "score" if fault == "scores_named_score" else "scores"
    black = f"top = ReduceMax <keepdims = 0> (planes) ratio = Div (top, top) {scores} = Mul (best_scores, ratio)"
    wide = fault == "labels_int64"
    flat = fault == "boxes_flat"
    text = _GRAPH.format(
        K=top_k,
        BOX=3 if flat else 4,
        SCORES=scores,
        LABEL_TYPE="int64" if wide else "int32",
        LABEL_CODE=int(onnx.TensorProto.INT64 if wide else onnx.TensorProto.INT32),
        CLASSES=", ".join(str(INDEX[name]) for name in BLOBS),
        STEP=STEP_PX,
        BLOB=BLOB_PX,
        BOXES=f"boxes = Concat <axis = 2> (x1_u, y1_u, x2_u{'' if flat else ', y2_u'})",
        NAN=black if fault == "nan_if_black" else f"{scores} = Identity (best_scores)",
    )
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write_tiny_bundle(
    folder: Path,
    *,
    width_px: int = 160,
    height_px: int = 128,
    um_per_px: float = 0.13,
    top_k: int = 256,
    trained: bool = True,
    thresholds: dict[str, Any] | None = None,
    fault: Fault | None = None,
    colours: dict[str, Any] | None = None,
) -> Bundle:
    """Write the bundle into `folder` (new or empty) and load it. Every frame it meets must be at least 64 x 64 px."""
    manifest = {
        "name": "tiny-test",
        "architecture": "test-window-mean",
        "um_per_px": um_per_px,
        "field_width_px": width_px,
        "field_height_px": height_px,
        "network_width_px": width_px,
        "network_height_px": height_px,
        "top_k": top_k,
        "classes": class_table(),
        "thresholds": thresholds or {},
        **(colours or {}),
        "training": {"trained": trained, "code_version": "test", "seed": 0},
    }
    return write_bundle(folder, manifest, {MODEL: tiny_model(top_k, fault)})


def blob_field(
    blobs: Iterable[tuple[str | tuple[int, int, int], int, int]] = (), *, width_px: int = 160, height_px: int = 128
) -> Image:
    """A white field, uint8 [height, width, 3], with squares of `BLOB_PX` whose top-left corners are (x, y).

    Each blob is (class name of `BLOBS` or any BGR colour, x, y); squares may reach over the border.
    """
    field = np.full((height_px, width_px, 3), 255, np.uint8)
    for kind, x, y in blobs:
        colour = BLOBS[kind] if isinstance(kind, str) else kind
        field[max(y, 0) : max(y + BLOB_PX, 0), max(x, 0) : max(x + BLOB_PX, 0)] = colour
    return field
