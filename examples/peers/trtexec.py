"""NVIDIA's trtexec on the plain graph in FP16: where it is installed, which is where there is a GPU and the full TensorRT."""

import json
import re
import shutil
import subprocess
import sys

from loop import arguments, skipped


def main() -> None:
    """Each round is one run of trtexec for so many inferences."""
    asked = arguments()
    program = shutil.which("trtexec")
    if program is None:
        skipped("trtexec is not on this machine; it comes with the full TensorRT")
    print(json.dumps({"name": "trtexec, FP16"}), flush=True)
    for line in sys.stdin:
        words = [str(program), f"--onnx={asked.model}", "--fp16", f"--iterations={int(line)}", "--duration=0"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        found = re.search(r"Throughput: ([\d.]+) qps", done.stdout)
        if found is None:
            last = ((done.stdout + done.stderr).strip().splitlines() or ["nothing"])[-1]
            print(json.dumps({"failed": f"trtexec gave no throughput; it said: {last}"}), flush=True)
            return
        print(json.dumps({"ms_per_field": 1e3 / float(found[1])}), flush=True)


if __name__ == "__main__":
    main()
