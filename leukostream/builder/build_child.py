"""Run as a program by `build_process.py`: a request and a graph on standard input, a plan on standard output.

Input and output are one line of JSON and then bytes, in the order that the line names; phases go to standard error, one JSON
object a line. Nothing of it may depend on where files lie: see `_fix_addresses`.
"""

import ctypes
import json
import os
import signal
import sys

from leukostream.builder.trt_build import build_plan
from leukostream.edge.contracts.engine import BuildRequest
from leukostream.edge.contracts.errors import LeukoError

ADDRESSES_FIXED = "LEUKO_ADDRESSES_FIXED"
"""Environment variable: addresses are fixed, or cannot be."""

_ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class LineWatch:
    """Tells phases as JSON lines."""

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        _tell({"started": phase, "n_steps": n_steps})

    def finished(self, phase: str) -> None:
        _tell({"finished": phase})

    def stepped(self, phase: str, step: int) -> None:
        _tell({"stepped": phase, "step": step})


def _tell(news: dict[str, object]) -> None:
    print(json.dumps(news), file=sys.stderr, flush=True)


def _fix_addresses() -> None:
    """Start this program again without random addresses, where the system lets it.

    TensorRT for RTX orders outputs and names temporaries by where they lie in memory: at random addresses the bytes of a plan
    are others every time.
    """
    if ADDRESSES_FIXED in os.environ or not sys.platform.startswith("linux"):
        return
    os.environ[ADDRESSES_FIXED] = "1"
    if ctypes.CDLL(None).personality(_ADDR_NO_RANDOMIZE) != -1:
        os.execv(sys.executable, sys.orig_argv)


def main() -> None:
    """Read, build, write; a refusal becomes the line's `error`."""
    _fix_addresses()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever asked is gone: nobody wants the plan
    given = sys.stdin.buffer.read()
    line, _, rest = given.partition(b"\n")
    head = json.loads(line)
    graph, times = rest[: head["graph_bytes"]], rest[head["graph_bytes"] :]
    try:
        built = build_plan(graph, BuildRequest.model_validate(head["request"]), LineWatch(), times)
    except LeukoError as problem:
        print(json.dumps({"error": str(problem)}))
        return
    answer = {
        "plan_bytes": len(built.plan),
        "layer_precisions": built.layer_precisions,
        "convolutions": built.convolutions,
        "convolutions_half": built.convolutions_half,
    }
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + built.plan + built.timing_cache)


if __name__ == "__main__":
    main()
