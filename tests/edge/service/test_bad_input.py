"""What may be wrong with an instrument in the evening: each is a FAULT with a sentence, and each ends once it is mended.

Meanwhile the service is reached, refuses runs with that sentence, and delivers what was recorded before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.made_profiles import pixel_size, stage
from support.service_here import WITHIN_S, Bench, refused_with, service, still_read, whole
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.bundle import MODEL
from edge.contracts.errors import EngineError
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.contracts.records import RunOutcome, RunStop
from edge.service import fitness
from edge.settings.reachable import reachable
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(120)


# Camera and engine.


def test_no_camera_at_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({})
    bench.camera.unplugged = True
    with service(monkeypatch, bench) as here:
        refused_with(here, "camera plain: is not there; check its cable and power.")
        bench.camera.unplugged = False
        whole(here)


def test_the_camera_is_unplugged_between_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = whole(here)
        here.bench.camera.unplugged = True
        refused_with(here, "was lost (no answer) and is looked for")
        still_read(here, before)
        here.bench.camera.unplugged = False
        whole(here)
        assert here.bench.opened == 1, "the engine stayed as it was"
        assert here.bench.told_open == 1, "and nothing new is to be set apart"


def test_the_camera_is_unplugged_in_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = whole(here)
        run_id = here.controller.start_run(timeout_s=WITHIN_S)
        here.controller.trigger(run_id, "a", 0, timeout_s=WITHIN_S)
        list(zip(range(2), here.controller.records(run_id), strict=False))
        here.bench.camera.unplugged = True
        last = list(here.controller.records(run_id))[-1]
        assert isinstance(last, RunStop) and last.outcome is RunOutcome.FAILED and last.sums_match
        refused_with(here, "camera plain")
        still_read(here, before)
        here.bench.camera.unplugged = False
        whole(here)


def test_an_engine_that_fails_between_runs_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        whole(here)
        here.bench.wrong = EngineError("the GPU does not answer (fell off the bus); restart this machine.")
        here.bench.engine_wrong = True
        refused_with(here, "fell off the bus")
        here.bench.wrong, here.bench.engine_wrong = None, False
        whole(here)
        assert (here.bench.opened, here.bench.told_open) == (2, 2), "what was opened anew lasts from now on"


# Clock, configuration, bundle and profile: read from real files.


@dataclass
class Files:
    """A configuration, and all that it names."""

    folder: Path
    bundle: Path
    profile: Path
    config: Path

    def configure(self, **settings: object) -> None:
        known: dict[str, object] = {
            "source": f"folder:{self.folder / 'fields'}",
            "um_per_px": 0.13,
            "bundle": str(self.bundle),
            "journal": str(self.folder / "j.sqlite"),
            **settings,
        }
        lines = [f"{name} = {value if isinstance(value, float) else repr(str(value))}" for name, value in known.items()]
        self.config.write_text("\n".join(lines) + "\n")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "0.png"), blob_field([("lymphocyte", 40, 40)]))
    cv2.imwrite(str(tmp_path / "fields" / "1.png"), blob_field([("lymphocyte", 80, 40)]))
    write_tiny_bundle(tmp_path / "bundle")
    found = Files(tmp_path, tmp_path / "bundle", tmp_path / "profile.json", tmp_path / "edge.toml")
    found.configure()
    return found


def _profiled(files: Files, *, days: float = 30, width_px: int | None = None) -> None:
    height, width, _ = cv2.imread(str(files.folder / "fields" / "0.png")).shape
    camera = CameraGeometry(width_px=width_px or width, height_px=height)
    write_profile(files.profile, Profile(instrument="bench 3", camera=camera, pixel_size=pixel_size(), stage=stage(days=days)))


@dataclass
class FileCase:
    spoil: Callable[[Files, pytest.MonkeyPatch], object]
    mend: Callable[[Files, pytest.MonkeyPatch], object]
    words: str
    before: bool = True


def _damage(files: Files) -> None:
    with (files.bundle / MODEL).open("r+b") as stream:
        stream.seek(100)
        byte = stream.read(1)
        stream.seek(100)
        stream.write(bytes([byte[0] ^ 1]))


CASES = [
    pytest.param(
        FileCase(
            lambda _, patch: patch.setattr(fitness, "BUILT", "2999-01-01"),
            lambda _, patch: patch.setattr(fitness, "BUILT", "2026-01-01"),
            "set the clock of this machine",
        ),
        id="the clock shows a day before the release",
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(written_for="99.0"), lambda files, _: files.configure(), "written for"),
        id="a configuration of a newer version",
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(polciy="latest"), lambda files, _: files.configure(), "mean `policy`"),
        id="a typing slip in it",
    ),
    pytest.param(
        FileCase(lambda files, _: files.config.write_text("source = "), lambda files, _: files.configure(), "edge.toml"),
        id="half a file",
    ),
    pytest.param(
        FileCase(lambda files, _: files.config.unlink(), lambda files, _: files.configure(), "cannot be read"), id="no file"
    ),
    pytest.param(
        FileCase(lambda files, _: files.configure(engine="tensorrt"), lambda files, _: files.configure(), "engine"),
        id="an engine for a GPU that is not here",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (_profiled(files, days=-1), files.configure(profile=files.profile)),
            lambda files, _: _profiled(files),
            "should have been measured anew by",
        ),
        id="an expired profile",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (_profiled(files, width_px=640), files.configure(profile=files.profile)),
            lambda files, _: _profiled(files),
            "was measured on frames of 640",
        ),
        id="another camera's profile",
    ),
    pytest.param(
        FileCase(lambda files, _: _damage(files), lambda files, _: _damage(files), "is damaged"), id="a bundle that is damaged"
    ),
    pytest.param(
        FileCase(lambda files, _: _damage(files), lambda files, _: _damage(files), "is damaged", before=False),
        id="a bundle that is damaged between runs",
    ),
    pytest.param(
        FileCase(
            lambda files, _: (files.folder / "fields").rename(files.folder / "away"),
            lambda files, _: (files.folder / "away").rename(files.folder / "fields"),
            "fields",
        ),
        id="no folder of fields",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_from_files(monkeypatch: pytest.MonkeyPatch, files: Files, case: FileCase) -> None:
    def started() -> Any:  # noqa: ANN401 a context manager
        bench = Bench({})
        return service(
            monkeypatch,
            bench,
            real=lambda stated: (lambda: resolve(stated, files.config), lambda: reachable(stated, files.config)),
        )

    if case.before:
        case.spoil(files, monkeypatch)
    with started() as here:
        if not case.before:
            here.until("READY")
            case.spoil(files, monkeypatch)
        refused_with(here, case.words)
        case.mend(files, monkeypatch)
        here.until("READY")
        records = list(here.controller.records(here.controller.start_run(timeout_s=WITHIN_S)))
        assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.COMPLETED
