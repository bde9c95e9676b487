"""Run as a program by `build_process.py`: a request and a graph on standard input, a plan on standard output.

Input and output are one line of JSON and then bytes, in the order that the line names. Phases go to standard error, one JSON
object a line, among what TensorRT says. No path and no setting reaches it otherwise: the bytes of a plan depend on what lies
where in memory.
"""

import json
import logging
import sys

from builder.trt_build import build_plan
from edge.contracts.engine_files import BuildRequest
from edge.contracts.errors import EngineError, LeukoError
from edge.engine.gpu.nvidia_driver import find_gpu

WARNING = "TensorRT warns"
"""What a line of the log begins with that is more than a diary."""


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


def _check_gpu(request: BuildRequest) -> None:
    """The engine will say that it was built on that GPU: which one is the first depends on the environment."""
    if request.gpu is not None and (here := find_gpu().identity) != request.gpu:
        raise EngineError(
            f"the engine was to be built on {request.gpu.name}, but the build process sees {here.name} as its first GPU; "
            "choose one with CUDA_VISIBLE_DEVICES."
        )


def main() -> None:
    """Read, build, write; a refusal becomes the line's `error`."""
    logging.addLevelName(logging.WARNING, WARNING)
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s: %(message)s", stream=sys.stderr)
    given = sys.stdin.buffer.read()
    line, _, rest = given.partition(b"\n")
    head = json.loads(line)
    graph, times = rest[: head["graph_bytes"]], rest[head["graph_bytes"] :]
    try:
        request = BuildRequest.model_validate(head["request"])
        _check_gpu(request)
        built = build_plan(graph, request, LineWatch(), times)
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
