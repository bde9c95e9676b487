"""Another bundle takes over between two runs, or does not and the old one goes on; and the way back."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.filled_journal import until
from support.made_profiles import pixel_size

from edge.contracts.bundle import Thresholds, load_bundle
from edge.contracts.errors import BundleError, ConfigError, EngineError, LeukoError
from edge.contracts.profile import BundleThresholds, CameraGeometry, Profile, write_profile
from edge.engine.openvino import OpenVinoEngine
from edge.rollout.taking_over import CountsDifferError
from edge.service.bundle_switch import Switch

from .conftest import SwitchingService

pytestmark = pytest.mark.timeout(120)
Start = Callable[..., SwitchingService]
MB = 1e6
BLIND = {"identify_by_class": {"lymphocyte": 1.0}}


def test_it_takes_over_between_runs_and_goes_back(start_service: Start) -> None:
    service = start_service()
    start, stop = service.run()
    assert "lymphocyte" in stop.cells
    assert service.take_over(service.bundle("blind", **BLIND)) == 0
    again, counted = service.run()
    assert again.provenance.bundle_id != start.provenance.bundle_id and "lymphocyte" not in counted.cells
    assert Path(str(again.settings["bundle"])) == service.bundles["blind"]
    welcome = service.controller.connect(60)
    assert welcome.edge is not None and welcome.edge.bundle_id == again.provenance.bundle_id
    assert service.back() == 0
    assert service.run()[0].provenance == start.provenance, "everything as before"
    assert service.back() == 0 and service.serving() == "blind", "and once more"
    service = start_service()
    assert service.serving() == "blind", "also after a restart"


def test_a_run_in_progress_ends_with_the_bundle_that_it_began_with(start_service: Start) -> None:
    service = start_service(max_fields=18)
    service.until("READY")
    run_id = service.controller.start_run(timeout_s=60)
    ordered = threading.Thread(target=service.take_over, args=(service.bundle("blind", **BLIND),))
    ordered.start()
    records = list(service.controller.records(run_id))
    ordered.join(60)
    assert records[-1].cells["lymphocyte"] == 36  # type: ignore[union-attr] # the last is run_stop
    assert service.serving() == "blind"


def test_counts_that_differ_do_not_take_over_unless_that_is_accepted(start_service: Start) -> None:
    service = start_service()
    with pytest.raises(CountsDifferError, match="not shown to agree"):
        service.take_over(service.bundle("blind", **BLIND), accept=False, n_fields=18)
    with pytest.raises(CountsDifferError, match="fewer than 100"):
        service.take_over(service.bundle("same", margin=0.11), accept=False)
    assert service.serving() == "first"
    assert service.take_over(service.bundles["same"], accept=False, n_fields=18) == 0
    assert service.serving() == "same"
    with pytest.raises(ConfigError, match="the one that serves already"):
        service.take_over(service.bundles["same"])


def _damaged(service: SwitchingService, how: str) -> Path:
    """A bundle that was whole when it was compared and ordered, and is not when the service opens it."""
    new = service.bundle("blind", **BLIND)
    if how == "gone":
        new.rename(new.with_name("moved"))
    elif how == "model":
        (new / "model.onnx").write_bytes(b"x" + (new / "model.onnx").read_bytes()[1:])
    elif how == "another":
        (new / "bundle.json").write_bytes((service.bundles["first"] / "bundle.json").read_bytes() + b"\n")
    return new


@pytest.mark.parametrize("how", ["gone", "model", "another", "engine", "parity"])
def test_one_that_cannot_serve_never_takes_over_and_the_old_one_goes_on(
    start_service: Start, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    service = start_service()
    assert service.serving() == "first"
    from edge.rollout import rolling_out
    from edge.service import station

    order_bundle, engine_for = rolling_out.order_bundle, station.engine_for

    def spoiling(*setups: object) -> str:
        _damaged(service, how)
        return order_bundle(*setups)  # type: ignore[arg-type] # passed on

    def refusing(info: object, bundle: object, *more: object) -> object:
        if Path(bundle.path).name == "blind":  # type: ignore[attr-defined] # as above
            if how == "engine":
                raise EngineError("no room for it.")
            failed, plan = engine_for(info, bundle, *more)  # type: ignore[arg-type] # as above
            monkeypatch.setattr(OpenVinoEngine, "info", property(lambda self: _failed(self._info)))
            return failed, plan
        return engine_for(info, bundle, *more)  # type: ignore[arg-type] # as above

    service.bundle("blind", **BLIND)
    monkeypatch.setattr(rolling_out, "order_bundle", spoiling)
    if how in {"engine", "parity"}:
        monkeypatch.setattr(station, "engine_for", refusing)
    with pytest.raises(EngineError, match=r"the service goes on with bundle .*/first: "):
        service.take_over(service.bundles["blind"])
    monkeypatch.undo()
    assert service.serving() == "first"
    if how == "parity":
        monkeypatch.setattr(OpenVinoEngine, "info", property(lambda self: _failed(self._info)))
    service = start_service()
    assert service.serving() == ("blind" if how == "engine" else "first"), "also after a restart, unless the cause is gone"


def _failed(info: object) -> object:
    from dataclasses import replace

    return replace(info, parity="failed")  # type: ignore[type-var] # EngineInfo


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half of it"),
        pytest.param(b'{"bundle_switch": 2}', id="of a newer version"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_a_switch_that_cannot_be_read_leaves_the_configuration_s_bundle(start_service: Start, content: bytes) -> None:
    service = start_service()
    assert service.take_over(service.bundle("blind", **BLIND)) == 0
    (service.folder / "j.sqlite.bundle.json").write_bytes(content)
    service = start_service()
    assert service.serving() == "first"
    with pytest.raises(LeukoError):
        service.back()


def test_who_changes_the_configuration_has_the_last_word(start_service: Start) -> None:
    service = start_service()
    assert service.take_over(service.bundle("blind", **BLIND)) == 0
    service = start_service(bundle=str(service.bundle("third", margin=0.12)))
    assert service.serving() == "third"
    with pytest.raises(ConfigError, match="names another bundle than when"):
        service.back()
    assert service.take_over(service.bundles["blind"]) == 0 and service.serving() == "blind"
    switch = Switch.model_validate_json((service.folder / "j.sqlite.bundle.json").read_bytes())
    assert Path(switch.before.path).name == Path(switch.configured.path).name == "third"


def test_the_configuration_s_bundle_may_be_gone_and_the_one_before_may_not(start_service: Start) -> None:
    service = start_service()
    assert service.take_over(service.bundle("blind", **BLIND)) == 0
    service.bundles["first"].rename(service.folder / "moved")
    service = start_service()
    assert service.serving() == "blind"
    with pytest.raises(BundleError, match="is not a bundle"):
        service.back()
    assert service.serving() == "blind"


def test_a_profile_holds_thresholds_of_one_bundle_and_runs_may_name_others(
    start_service: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, camera = load_bundle(tmp_path / "first"), CameraGeometry(width_px=160, height_px=128)
    found = BundleThresholds(bundle_id=first.bundle_id, thresholds=Thresholds(identify=0.51))
    write_profile(
        tmp_path / "high.json", Profile(instrument="bench 3", camera=camera, pixel_size=pixel_size(), thresholds=found)
    )
    write_profile(tmp_path / "low.json", Profile(instrument="bench 3", camera=camera, pixel_size=pixel_size(0.16)))
    service = start_service({"low": tmp_path / "low.json"}, profile=str(tmp_path / "high.json"), um_per_px=None)
    before, low = service.run()[0], service.run("low")[0]
    assert before.settings["thresholds"]["identify"] == 0.51 and low.provenance.um_per_px == 0.16  # type: ignore[index] # a dict
    assert service.take_over(service.bundle("blind", identify=0.52, **BLIND)) == 0
    assert "were found for another bundle; those of" in caplog.text
    after, low_after = service.run()[0], service.run("low")[0]
    assert after.settings["thresholds"]["identify"] == 0.52  # type: ignore[index] # as above
    assert after.provenance.bundle_id == low_after.provenance.bundle_id != low.provenance.bundle_id
    assert (after.provenance.um_per_px, low_after.provenance.um_per_px) == (0.13, 0.16)
    service.back()
    assert service.run("low")[0].provenance == low.provenance and service.run()[0].settings == before.settings


def test_nothing_was_rolled_out_and_nothing_can_be(start_service: Start) -> None:
    service = start_service()
    with pytest.raises(ConfigError, match="nothing was rolled out"):
        service.back()
    service = start_service(journal="memory")
    with pytest.raises(ConfigError, match="is in memory"):
        service.take_over(service.bundle("blind", **BLIND))


def _nothing_is_left(start_service: Start, n_switches: int, most_mb: float) -> None:
    service, me = start_service(), psutil.Process()

    def now() -> tuple[int, int, float]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), me.memory_info().rss / MB

    service.take_over(service.bundle("blind", **BLIND))
    for _ in range(2):  # what grows once is no leak
        service.back()
        service.run()
    service.until("READY")
    threads, files, memory_mb = now()
    names = set()
    for _ in range(n_switches):
        service.back()
        names.add(service.serving())
    service.until("READY")
    assert names == {"first", "blind"}
    until(lambda: now()[0] <= threads and now()[1] <= files)  # what ends with a run may take a moment
    assert now()[2] - memory_mb < most_mb, (memory_mb, now())


def test_switching_leaves_nothing_over(start_service: Start) -> None:
    _nothing_is_left(start_service, 5, 60.0)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_switches_in_one_service(start_service: Start) -> None:
    _nothing_is_left(start_service, 100, 80.0)


def test_the_switch_is_a_file_that_a_person_can_read(start_service: Start) -> None:
    service = start_service()
    assert service.take_over(service.bundle("blind", **BLIND)) == 0
    content = json.loads((service.folder / "j.sqlite.bundle.json").read_bytes())
    assert {"now", "before", "configured", "wall_time", "order_id", "bundle_switch"} == set(content)
    answer = json.loads((service.folder / "j.sqlite.serves.json").read_bytes())
    assert answer["order_id"] == content["order_id"] and answer["serves"] == content["now"] and answer["refused"] == ""
