"""Real builds by TensorRT for RTX, which needs no GPU for them."""

import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.engine_build import BuildOptions, build_engine, prepare
from builder.images import FieldImages, read_images
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.engine_files import EngineFiles
from edge.settings import SHIPPED_BUNDLE

NEEDS_RTX = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: there is none for this processor",
)
WIDTH_PX, HEIGHT_PX = 732, 574

COMMAND = [sys.executable, "-c", "from builder.cli import main; main()"]
"""`leuko-build` in a process of its own."""


class Watch:
    """Counts phases; `at_start` is called when TensorRT begins."""

    def __init__(self, at_start: Callable[[], object] = lambda: None) -> None:
        self.phases: list[str] = []
        self._at_start = at_start

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        self.phases.append(phase)
        if phase == "Building":
            self._at_start()

    def finished(self, phase: str) -> None:
        assert phase in self.phases

    def stepped(self, phase: str, step: int) -> None:
        assert phase in self.phases


def options(**changed: object) -> BuildOptions:
    """For SM86 and the frames of the shipped bundle, unless said otherwise."""
    known: dict[str, object] = {
        "runtime": "tensorrt_rtx",
        "frame_width_px": WIDTH_PX,
        "frame_height_px": HEIGHT_PX,
        "targets": ("SM86",),
    }
    return BuildOptions(**(known | changed))  # type: ignore[arg-type]


@functools.cache
def drawn(width_px: int, height_px: int) -> FieldImages:
    """One field, drawn once: all bundles here have one scale."""
    return read_images(None, load_bundle(SHIPPED_BUNDLE), width_px, height_px, 1)


def built(bundle: Bundle, engines: Path, watch: Watch | None = None, **changed: object) -> EngineFiles:
    """Build, or find what was built; `changed` are options."""
    chosen = options(**changed)

    def images() -> FieldImages:
        return drawn(chosen.frame_width_px, chosen.frame_height_px)

    return build_engine(prepare(bundle, chosen), engines, images, watch or Watch())


def contents(folder: Path) -> dict[str, str]:
    """Every file beneath to the SHA-256 of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def engine_arguments(bundle: Bundle, engines: Path, *more: str) -> list[str]:
    """`leuko-build engine` for one generation of GPUs."""
    return ["engine", str(bundle.path), "--runtime", "tensorrt_rtx", "--engine-dir", str(engines), "--target", "SM86", *more]
