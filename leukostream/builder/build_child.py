"""Run as a program by `build_process.py`: a request and a graph on standard input, a plan on standard output.

Input and output are one line of JSON and then bytes, in the order that the line names. Phases go to standard error, one JSON
object a line, among what TensorRT says. No path and no setting reaches it otherwise: the bytes of a plan depend on what lies
where in memory.
"""

import json
import logging
import sys

from leukostream.builder.trt_build import build_plan
from leukostream.edge.contracts.engine import BuildRequest
from leukostream.edge.contracts.errors import LeukoError


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


def main() -> None:
    """Read, build, write; a refusal becomes the line's `error`."""
    logging.basicConfig(level=logging.DEBUG, format="%(message)s", stream=sys.stderr)
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
