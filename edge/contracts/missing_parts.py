"""What is not installed, or cannot be loaded here: which part of the distribution brings it, as a sentence."""

import re
from types import TracebackType

from edge.contracts.errors import first_line

NOT_INSTALLED_EXIT_CODE = 11
_ROOMS = frozenset({"edge", "trainer", "builder", "calib"})
_BASE = frozenset(
    {
        *("annotated_types", "av", "click", "cryptography", "cv2", "msgpack", "numpy", "openvino", "prometheus_client"),
        *("pydantic", "pydantic_core", "rich", "simplejpeg", "tifffile", "tomli", "typer", "yaml", "zmq"),
    }
)
"""What every installation has, unless it was taken out."""
_DISTRIBUTIONS = {"cv2": "opencv-python", "yaml": "pyyaml", "zmq": "pyzmq", "PIL": "pillow", "sklearn": "scikit-learn"}
"""Where they are called otherwise than their modules."""
_EXTRAS = {
    "pyarrow": "score",
    "ray": "cluster",
    "tritonclient": "remote",
    "grpc": "remote",
    "starlette": "view",
    "uvicorn": "view",
}
"""What one command or setting alone needs, whichever room it is of."""
_ALONE = frozenset({"mlflow", "wandb"})
"""What no part of the distribution brings: an option asks for it by name."""
_LACKS = re.compile(r"(\S+\.so\S*): cannot open shared object file")


def not_installed(problem: Exception, extra: str) -> str:
    """One sentence when `problem` is that a library is not there or cannot be loaded; empty when it is anything else.

    `extra` is the room's part of the distribution, which has all libraries that are not of the base.
    """
    if isinstance(problem, OSError) and problem.errno is not None:
        return ""  # the system's refusal, not the library's
    name = _library_of(problem)
    if not name:
        return ""
    called = _DISTRIBUTIONS.get(name, name)
    extra = _EXTRAS.get(name, extra)
    part = f"'leukostream[{extra}]'" if extra and name not in _BASE else "leukostream"
    part = name if name in _ALONE else part
    again = f"pip install {part}"
    if isinstance(problem, ModuleNotFoundError) and (problem.name or "").partition(".")[0] == name:
        if problem.name == name:
            return f"this command needs {called}, which is not installed here; {again}"
        return f"this command needs {called}, and what is installed here lacks {problem.name}; {again} --upgrade"
    why = first_line(problem)
    if lacks := _LACKS.search(str(problem)):
        return f"{called} cannot be loaded, because this system has no {lacks[1]}; install the system's package that has it."
    return f"{called} is installed and cannot be loaded ({why}); install it again: {again} --force-reinstall"


def _library_of(problem: Exception) -> str:
    """The foreign package that was being imported when it was raised, by its first name; empty for none."""
    if isinstance(problem, ImportError) and problem.name:
        first = problem.name.partition(".")[0]
        return "" if first in _ROOMS else first
    return _being_imported(problem.__traceback__)


def _being_imported(trace: TracebackType | None) -> str:
    """The foreign package that our own code had begun to import last; empty when it was doing something else."""
    found, ours = "", False
    while trace is not None:
        frame = trace.tb_frame
        if not frame.f_code.co_filename.startswith("<frozen importlib"):
            first = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if first in _ROOMS:
                found, ours = "", True
            elif ours:
                found, ours = first if frame.f_code.co_name == "<module>" else "", False
        trace = trace.tb_next
    return found
