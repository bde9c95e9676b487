"""Every name of TensorRT that the source uses is there in each version that leukostream promises to work with.

mypy holds the source against `runtime_api.py` and `trt_builder_api.py`; here those types are held against the real bindings.
The bindings are loaded in a process of their own, with libraries that hold nothing but the symbols they ask for: nothing can be
built or run with them.
"""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import builder
import calib
import edge
import trainer
from builder import trt_builder_api
from edge.engine.trt import runtime_api
from edge.engine.trt.runtime import release_of

Surface = dict[str, dict[str, str] | None]
SUPPORT = Path(__file__).parents[1] / "helpers" / "support"
PINNED = Path(__file__).parent.parent / "tensorrt-bindings.txt"
ROOMS = [Path(room.__file__ or "").parent for room in (builder, calib, edge, trainer)]
BINDINGS = [line for line in PINNED.read_text().splitlines() if not line.startswith("#")]
MODULES = {"EngineModule", "BuilderModule", "RtxEngineModule", "RtxBuilderModule"}

_STUB = """
#define NOTHING(name) void *name(void) { return 0; }
NOTHING(createInferBuilder_INTERNAL) NOTHING(createInferRefitter_INTERNAL) NOTHING(createInferRuntime_INTERNAL)
NOTHING(createNvOnnxParser_INTERNAL) NOTHING(createNvOnnxParserRefitter_INTERNAL) NOTHING(getNvOnnxParserVersion)
NOTHING(getPluginRegistry) NOTHING(getBuilderPluginRegistry)
int initLibNvInferPlugins(void *logger, const char *space) { return 0; }
int getInferLibVersion(void) { return 0; }
"""
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def _types(module: ModuleType) -> dict[str, type]:
    return {
        name: thing for name, thing in vars(module).items() if inspect.isclass(thing) and thing.__module__ == module.__name__
    }


TYPES = _types(runtime_api) | _types(trt_builder_api)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries that let the bindings be loaded."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) is installed, and without its stubs the bindings cannot be loaded")
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "stub.c").write_text(_STUB)
    for major in {release_of(pinned.split("==")[1])[0] for pinned in BINDINGS}:
        for name in _LIBRARIES:
            library = f"lib{name}.so.{major}"
            command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", library, "stub.c"]
            subprocess.run(command, cwd=folder, check=True, timeout=30)
    return folder


@pytest.fixture(scope="session")
def surface(stubs: Path) -> Callable[[str], Surface]:
    known: dict[str, Surface] = {}

    def of(which: str) -> Surface:
        if which not in known:
            known[which] = _read(which, stubs)
        return known[which]

    return of


def _read(which: str, stubs: Path) -> Surface:
    environment = dict(os.environ)
    module = "tensorrt_rtx"
    if which != module:
        folder = Path(sys.prefix) / "bindings" / which
        if not folder.is_dir():
            pytest.skip(f"{which} is not installed in {folder}: `make test` fetches it where there is one for this Python")
        environment |= {"LD_LIBRARY_PATH": str(stubs), "PYTHONPATH": str(folder)}
        module = "tensorrt_bindings"
    command = [sys.executable, str(SUPPORT / "bindings_surface.py"), module]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: Surface = json.loads(done.stdout)
    return found


def _members(kind: type) -> dict[str, Any]:
    """What one of our types asks of TensorRT's: methods, properties and plain attributes."""
    annotated = dict.fromkeys(getattr(kind, "__annotations__", {}))
    written = {name: thing for name, thing in vars(kind).items() if not name.startswith("_") and name != "register"}
    return {name: thing for name, thing in (annotated | written).items() if not name.startswith("_") or name == "__version__"}


def _missing(kind: type, name: str, found: Surface) -> list[str]:
    """Members of `kind` that TensorRT's class `name` lacks or takes otherwise."""
    there = found.get(name)
    if there is None:
        return [f"{name} is not there"]
    problems = []
    for member, ours in _members(kind).items():
        if member not in there:
            problems.append(f"{name}.{member} is not there")
        elif inspect.isfunction(ours):
            parameters = [each for each in inspect.signature(ours).parameters if each != "self"]
            pattern = r".*?\b".join([rf"\b{member}\(self", *(f"{each}:" for each in parameters)])
            if not re.search(pattern, there[member], re.DOTALL):
                problems.append(f"{name}.{member} does not take {parameters}: {there[member].strip().splitlines()[0]}")
        elif isinstance(ours, property) and there[member] != "property":
            problems.append(f"{name}.{member} is no property")
    return problems


@pytest.mark.parametrize("which", [*BINDINGS, "tensorrt_rtx"])
def test_everything_the_source_uses_is_there(surface: Callable[[str], Surface], which: str) -> None:
    found = surface(which)
    problems = []
    for name, kind in TYPES.items():
        if name in {"EngineModule", "BuilderModule"}:
            problems += [f"{member} is not there" for member in _members(kind) if member not in found]
        elif not name.startswith("Rtx"):
            problems += _missing(kind, name, found)
    assert problems == []


def test_what_only_rtx_has_is_there_and_nowhere_else(surface: Callable[[str], Surface]) -> None:
    found = surface("tensorrt_rtx")
    problems = []
    for name, kind in TYPES.items():
        if name in {"RtxEngineModule", "RtxBuilderModule"}:
            problems += [f"{member} is not there" for member in _members(kind) if member not in found]
        elif name.startswith("Rtx"):
            problems += _missing(kind, name.removeprefix("Rtx"), found)
    assert problems == []
    for which in BINDINGS:
        # The source asks for this name to know which of the two it has.
        assert "DynamicShapesKernelSpecializationStrategy" not in surface(which)


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        pytest.param("platform_has_fast_fp16", "Builder", "is not there", id="gone in 11"),
        pytest.param("set_memory_pool_limits", "IBuilderConfig", "is not there", id="a slip of the pen"),
    ],
)
def test_a_name_that_a_version_lacks_is_found(surface: Callable[[str], Surface], kind: str, name: str, says: str) -> None:
    asked = type("Asked", (), {kind: property(lambda _: None)})
    assert _missing(asked, name, surface(BINDINGS[-1])) == [f"{name}.{kind} {says}"]


def test_a_parameter_that_has_another_name_is_found(surface: Callable[[str], Surface]) -> None:
    def set_tensor_address(self: object, name: str, pointer: int) -> bool:
        raise NotImplementedError

    asked = type("Asked", (), {"set_tensor_address": set_tensor_address})
    (problem,) = _missing(asked, "IExecutionContext", surface(BINDINGS[0]))
    assert "does not take ['name', 'pointer']" in problem


def test_the_value_of_an_enumeration_is_never_a_literal(surface: Callable[[str], Surface]) -> None:
    """STRONGLY_TYPED is 1 in one version and 0 in another: a shift by a number would be right in one of them only."""
    shifts = [
        f"{path}:{node.lineno}"
        for room in ROOMS
        for path in room.rglob("*.py")
        if "trt" in path.read_text()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift)
        if isinstance(node.right, ast.Constant)
    ]
    assert [where for where in shifts if "trt" in where] == []


def test_versions_are_never_ordered_as_text() -> None:
    """`"10.13" < "10.3"` is true of text."""
    ordered = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
    slips = [
        f"{path.name}:{node.lineno}"
        for room in ROOMS
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare) and any(isinstance(each, ordered) for each in node.ops)
        if any(
            "version" in ast.unparse(side).replace("sys.version_info", "") and "release_of" not in ast.unparse(side)
            for side in (node.left, *node.comparators)
        )
    ]
    assert slips == []


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        pytest.param("10.13.3.9", "10.3.0", id="two digits"),
        pytest.param("11.0.0.114", "10.16.1.11", id="a major version"),
    ],
)
def test_releases_are_ordered_by_their_numbers(newer: str, older: str) -> None:
    assert release_of(newer) > release_of(older)


def test_a_packaging_suffix_is_no_other_release() -> None:
    assert release_of("10.13.3.9.post1") == release_of("10.13.3.9")
    with pytest.raises(ValueError, match="is no version"):
        release_of("nightly")
