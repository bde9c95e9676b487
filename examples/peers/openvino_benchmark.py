"""OpenVINO's own benchmark_app on the bundle's graph, hint throughput: no camera, no suppression, nothing but inference."""

import json
import re
import subprocess
import sys

from loop import arguments, skipped

# It would ask a public analytics server at every start.
PROGRAM = "import sys; sys.modules['openvino_telemetry'] = None; from openvino.tools.benchmark.main import main; main()"


def main() -> None:
    """Each round is one run of benchmark_app for so many inferences."""
    asked = arguments()
    try:
        import cv2
        import openvino.tools.benchmark  # noqa: F401 whether it is there
    except ImportError:
        skipped("openvino is not installed; pip install openvino")
    _, frame = cv2.VideoCapture(asked.video).read()
    height, width = frame.shape[:2]
    words = ["-m", asked.graph, "-d", "CPU", "-hint", "throughput", "-shape", f"[1,{height},{width},3]"]
    words += ["-infer_precision", asked.precision]
    words += ["-nthreads", str(asked.threads)] if asked.threads else []
    print(json.dumps({"name": "OpenVINO benchmark_app, throughput hint"}), flush=True)
    for line in sys.stdin:
        command = [sys.executable, "-c", PROGRAM, *words, "-niter", str(int(line))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"Throughput:\s+([\d.]+) FPS", done.stdout + done.stderr)
        if found is None:
            last = ((done.stdout + done.stderr).strip().splitlines() or ["nothing"])[-1]
            print(json.dumps({"failed": f"benchmark_app gave no throughput; it said: {last}"}), flush=True)
            return
        print(json.dumps({"ms_per_field": 1e3 / float(found[1])}), flush=True)


if __name__ == "__main__":
    main()
