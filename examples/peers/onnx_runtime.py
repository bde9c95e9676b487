"""The same loop with ONNX Runtime. Needs onnxruntime."""

import cv2
import numpy as np
from loop import answer, arguments, cells, skipped


def main() -> None:
    """Read, shrink, infer, suppress."""
    asked = arguments()
    try:
        import onnxruntime
    except ImportError:
        skipped("onnxruntime is not installed; pip install onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked.threads
    session = onnxruntime.InferenceSession(asked.model, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    size = (given.shape[3], given.shape[2])

    def on_field(frame: np.ndarray) -> object:
        blob = cv2.dnn.blobFromImage(frame, 1 / 255, size, swapRB=True)
        boxes, scores = session.run(None, {given.name: blob})
        return cells(boxes[0], scores[0])

    answer(f"cv2.VideoCapture + ONNX Runtime {onnxruntime.__version__}", asked.video, on_field)


if __name__ == "__main__":
    main()
