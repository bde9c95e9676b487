"""A network camera on loopback: numbered frames as MJPEG over HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import cv2
import numpy as np

WIDTH_PX, HEIGHT_PX = 96, 64
STRIPE_PX = 12


def numbered(index: int) -> bytes:
    """A JPEG that carries `index` (8 bits) as black and white stripes."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for bit in range(8):
        image[:, bit * STRIPE_PX : (bit + 1) * STRIPE_PX] = 255 if index >> bit & 1 else 0
    return bytes(cv2.imencode(".jpg", image)[1])


def number_of(image: np.ndarray) -> int:  # type: ignore[type-arg]
    """The index that `numbered` wrote."""
    return sum(1 << bit for bit in range(8) if image[HEIGHT_PX // 2, bit * STRIPE_PX + STRIPE_PX // 2, 1] > 128)


@contextmanager
def mjpeg_camera(
    n_frames: int,
    fps: float,
    then: Literal["hang up", "stall"] = "hang up",
    picture: Callable[[int], bytes] = numbered,
) -> Iterator[str]:
    """Serve `n_frames` frames to each client, `then` close the connection or stay silent until the end; yields the URL."""
    stop = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(n_frames):
                if stop.is_set():
                    return
                jpeg = picture(index)
                try:
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
                    self.wfile.write(jpeg + b"\r\n")
                except OSError:
                    return
                time.sleep(1 / fps)
            if then == "stall":
                stop.wait()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/stream"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
