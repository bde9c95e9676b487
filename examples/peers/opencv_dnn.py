"""A loop that many would write: cv2.VideoCapture and cv2.dnn, one frame after the other. Needs OpenCV alone."""

import cv2
from loop import answer, arguments, cells


def main() -> None:
    """Read, shrink, infer, suppress."""
    asked = arguments()
    if asked.threads:
        cv2.setNumThreads(asked.threads)
    network = cv2.dnn.readNetFromONNX(asked.model)
    outputs = network.getUnconnectedOutLayersNames()
    size = _size_of(asked.model)

    def on_field(frame: "cv2.typing.MatLike") -> object:
        network.setInput(cv2.dnn.blobFromImage(frame, 1 / 255, size, swapRB=True))
        boxes, scores = network.forward(outputs)
        return cells(boxes[0], scores[0])

    answer(f"cv2.VideoCapture + cv2.dnn {cv2.__version__}", asked.video, on_field)


def _size_of(model: str) -> tuple[int, int]:
    """Width and height that the graph asks for."""
    import onnx

    dims = onnx.load(model, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    return dims[3].dim_value, dims[2].dim_value


if __name__ == "__main__":
    main()
