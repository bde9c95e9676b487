"""A service over images with the shipped way of reading its settings, in a thread; and `leuko-edge rollout` beside it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.ports import free_endpoint
from support.service_here import until_state
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.messages import State
from edge.contracts.records import RunStart, RunStop
from edge.pipeline import StopSwitch
from edge.rollout.rolling_out import NO_SOURCE, Fields, Shown, TakeOver, compare_bundles, go_back
from edge.service import station
from edge.service.serve_runs import serve_runs
from edge.service.serving_setup import Stated
from edge.stream.client import Controller
from edge.stream.settings import ClientSettings

WITHIN_S = 60.0


@pytest.fixture(autouse=True)
def as_urgent_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison stands back behind a service for good; this process has other tests to run."""
    monkeypatch.setattr("os.nice", lambda _: 0)


def write_images(folder: Path, n_fields: int = 18) -> Path:
    """Six cells in each field, two of each class."""
    folder.mkdir()
    labels = ("lymphocyte", "neutrophil_segmented", "eosinophil")
    for index in range(n_fields):
        cells = [(labels[k % 3], 4 + 56 * (k % 3), 8 + 64 * (k // 3)) for k in range(6)]
        cv2.imwrite(str(folder / f"{index:02d}.png"), blob_field(cells))
    return folder


@dataclass
class SwitchingService:
    """`config` is what `--config` names; `bundles` are directories by name."""

    folder: Path
    config: Path
    bundles: dict[str, Path]
    endpoint: str
    controller: Controller
    stop: StopSwitch
    thread: threading.Thread

    @property
    def stated(self) -> Stated:
        return Stated({}, self.config, {}, NO_SOURCE)

    def bundle(self, name: str, **thresholds: Any) -> Path:  # noqa: ANN401 as Thresholds has them
        """Written on first use."""
        if name not in self.bundles:
            self.bundles[name] = write_tiny_bundle(self.folder / name, thresholds=thresholds).path
        return self.bundles[name]

    def until(self, state: str, reason: str = "") -> State:
        return until_state(self.controller, state, reason, WITHIN_S)

    def run(self, profile: str | None = None) -> tuple[RunStart, RunStop]:
        """One run over the images: its first and last record."""
        self.until("READY")
        records = list(self.controller.records(self.controller.start_run(profile=profile, timeout_s=WITHIN_S)))
        assert isinstance(records[0], RunStart) and isinstance(records[-1], RunStop)
        return records[0], records[-1]

    def serving(self) -> str:
        """Name of the directory of the bundle that a run is made by."""
        return Path(str(self.run()[0].settings["bundle"])).name

    def take_over(self, bundle: Path, *, accept: bool = True, n_fields: int = 1) -> int:
        fields, order = Fields(frames=str(self.folder / "images"), most=n_fields), TakeOver(True, accept, WITHIN_S)
        return compare_bundles(self.stated, bundle, fields, Shown(as_json=True), order)

    def back(self) -> int:
        return go_back(self.stated, WITHIN_S)

    def end(self) -> None:
        self.controller.close()
        self.stop.abort("the test is over")
        self.thread.join(WITHIN_S)
        assert not self.thread.is_alive()


@pytest.fixture
def start_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., SwitchingService]]:
    """Starts one over the same journal and configuration again when called again; `more` are settings of a first start."""
    monkeypatch.setattr(station, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(station, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(station, "LOOK_S", 0.05)
    started: list[SwitchingService] = []
    bundles = {"first": write_tiny_bundle(tmp_path / "first").path}
    images, config = write_images(tmp_path / "images"), tmp_path / "edge.toml"

    def start(profiles: dict[str, Path] | None = None, **more: object) -> SwitchingService:
        if started:
            started[-1].end()
        endpoint = free_endpoint()
        settings: dict[str, object] = {
            "source": f"folder:{images}",
            "um_per_px": 0.13,
            "bundle": str(bundles["first"]),
            "journal": str(tmp_path / "j.sqlite"),
            "max_fields": 1,
            "threads": 1,
            "ack_timeout_s": 1.0,
            **more,
        }
        lines = [f"{key} = {value!r}\n" for key, value in settings.items() if value is not None]
        lines += ["[profiles]\n", *(f"{name} = {str(path)!r}\n" for name, path in (profiles or {}).items())]
        config.write_text("".join(lines))
        stated, stop = Stated({"bind": endpoint}, config, {}), StopSwitch()
        switch = stated.switch()
        arguments = (switch.resolve, stated.reach, stop)
        thread = threading.Thread(target=serve_runs, args=arguments, kwargs={"switch": switch}, name="switching-service")
        thread.start()
        controller = Controller(endpoint, client_id="scanner", settings=ClientSettings(reconnect_s=WITHIN_S))
        controller.connect(WITHIN_S)
        started.append(SwitchingService(tmp_path, config, bundles, endpoint, controller, stop, thread))
        return started[-1]

    yield start
    for each in started[-1:]:
        each.end()
