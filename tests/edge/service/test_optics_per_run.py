"""A run names the profile of the optics in use: what it rests on is that profile's, and the camera stays open."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from support.made_profiles import latency, pixel_size, stage
from support.service_here import WITHIN_S, Bench, ServiceHere, service
from support.tiny_bundle import BLOB_PX, blob_field, write_tiny_bundle
from typer.testing import CliRunner

from edge.command_list import app
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.colours import Dated
from edge.contracts.errors import StreamError
from edge.contracts.profile import BundleThresholds, CameraGeometry, Profile, load_profile, write_profile
from edge.contracts.records import Detection, FieldRecord, Record, RunOutcome, RunStart, RunStop
from edge.engine.openvino import OpenVinoEngine
from edge.pipeline import named_optics
from edge.settings.reachable import reachable
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(120)
WIDTH_PX, HEIGHT_PX, UM_PER_PX = 160, 128, 0.13


@dataclass
class Instrument:
    """A configuration with its profiles, over a folder of one field that shows one lymphocyte."""

    folder: Path
    bundle: Bundle

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    def configure(self, *names: str, **settings: object) -> None:
        known: dict[str, object] = {
            "source": f"folder:{self.folder / 'fields'}",
            "bundle": str(self.bundle.path),
            "journal": str(self.folder / "j.sqlite"),
            "profile": str(self.folder / "default.json"),
            **settings,
        }
        lines = [f"{name} = {value if isinstance(value, float) else repr(value)}" for name, value in known.items()]
        lines += ["[profiles]", *(f"{name} = {str(self.file(name))!r}" for name in names)]
        self.config.write_text("\n".join(lines) + "\n")

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def measured(
        self,
        name: str,
        um_per_px: float | None,
        *,
        days: float = 30,
        width_px: int = WIDTH_PX,
        identify: float | None = None,
        objective: str | None = None,
        measured_batch: int | None = None,
    ) -> str:
        """Writes a profile; its hash."""
        thresholds = None
        if identify is not None:
            thresholds = BundleThresholds(bundle_id=self.bundle.bundle_id, thresholds=Thresholds(identify=identify))
        profile = Profile(
            instrument="bench 3",
            camera=CameraGeometry(width_px=width_px, height_px=HEIGHT_PX, objective=objective),
            pixel_size=pixel_size(um_per_px) if um_per_px is not None else None,
            stage=stage(days=days),
            thresholds=thresholds,
            latency=latency(self.bundle.bundle_id, max_batch=measured_batch) if measured_batch is not None else None,
        )
        return write_profile(self.file(name), profile)

    @contextmanager
    def service(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceHere]:
        with service(
            monkeypatch,
            Bench({}),
            real=lambda stated: (lambda: resolve(stated, self.config), lambda: reachable(stated, self.config)),
        ) as here:
            yield here


@pytest.fixture
def instrument(tmp_path: Path) -> Instrument:
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "0.png"), blob_field([("lymphocyte", 64, 48)]))
    made = Instrument(tmp_path, write_tiny_bundle(tmp_path / "bundle"))
    made.measured("default", UM_PER_PX)
    return made


def run_with(here: ServiceHere, profile: str | None) -> tuple[RunStart, FieldRecord]:
    """A whole run of the folder's one field."""
    records: list[Record] = list(here.controller.records(here.controller.start_run(profile=profile, timeout_s=WITHIN_S)))
    start, last = records[0], records[-1]
    fields = [record for record in records if isinstance(record, FieldRecord)]
    assert isinstance(start, RunStart) and isinstance(last, RunStop)
    assert last.outcome is RunOutcome.COMPLETED and len(fields) == 1, last.detail
    return start, fields[0]


def refused(here: ServiceHere, profile: str, code: str, *words: str) -> None:
    """A run with this profile is refused, and none besides: the service stays ready."""
    with pytest.raises(StreamError, match=rf"refused \({code}\)") as said:
        here.controller.start_run(profile=profile, timeout_s=WITHIN_S)
    assert all(word in str(said.value) for word in words), str(said.value)
    assert str(said.value).endswith(".")


def widths_um(field: FieldRecord) -> set[float]:
    return {round(cell.size_um[0], 4) for cell in field.detections}


def widths_px(field: FieldRecord) -> set[float]:
    return {round(cell.box_px[2] - cell.box_px[0], 2) for cell in field.detections}


def labels(found: Sequence[Detection]) -> set[str]:
    return {cell.label for cell in found}


def test_two_profiles_alternate_in_one_service(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    opened: list[tuple[int, int]] = []
    monkeypatch.setattr(OpenVinoEngine, "__init__", _counting(OpenVinoEngine.__init__, opened))
    low = instrument.measured("low", 0.26, objective="20x/0.5")
    high = instrument.measured("high", 0.131, identify=0.99999, objective="100x/1.3")  # within what passes untouched
    instrument.configure("low", "high")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        n_engines = len(opened)
        assert n_engines == 2, "four tiles of low power take an engine of their own, high power shares that of the default"
        welcome = here.controller.connect(WITHIN_S)
        assert welcome.edge is not None and welcome.edge.profiles == ("low", "high")
        assert welcome.edge.um_per_px == UM_PER_PX
        for _ in range(2):
            start, field = run_with(here, None)
            assert (start.provenance.profile_name, start.provenance.um_per_px) == (None, UM_PER_PX)
            assert start.provenance.profile_sha256 == load_profile(instrument.file("default"))[1]
            assert (widths_px(field), widths_um(field)) == ({BLOB_PX}, {round(BLOB_PX * UM_PER_PX, 4)})
            assert labels(field.detections) == {"lymphocyte"}

            start, field = run_with(here, "high")
            about = start.provenance
            assert (about.profile_name, about.profile_sha256, about.um_per_px) == ("high", high, 0.131)
            assert start.settings["profile"] == str(instrument.file("high"))
            assert start.settings["objective"] == "100x/1.3"
            assert field.um_per_px == 0.131
            assert (widths_px(field), widths_um(field)) == ({BLOB_PX}, {round(BLOB_PX * 0.131, 4)})
            assert labels(field.detections) == {"unidentified"}, "by that profile's thresholds"

            start, field = run_with(here, "low")
            about = start.provenance
            assert (about.profile_name, about.profile_sha256, about.um_per_px) == ("low", low, 0.26)
            assert widths_px(field) == {BLOB_PX / 2}, "at its scale the model sees the same pixels twice as large"
            assert labels(field.detections) == {"lymphocyte"}
        assert len(opened) == n_engines, "nothing is opened for a run"


def _counting(init: Callable[..., None], opened: list[tuple[int, int]]) -> Callable[..., None]:
    def counted(self: object, *given: object, **named: object) -> None:
        opened.append((len(given), len(named)))
        init(self, *given, **named)

    return counted


def test_cells_of_a_named_profile_come_out_again(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    instrument.measured("low", 0.26)
    instrument.measured("high", 0.131, identify=0.99999)
    instrument.configure("low", "high")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        run_ids = [run_with(here, name)[0].run_id for name in ("low", "high", None)]
    for run_id in run_ids:
        done = CliRunner().invoke(app, ["replay", run_id, "--journal", str(instrument.folder / "j.sqlite"), "--pixels"])
        assert done.exit_code == 0, (run_id, done.output, done.exception)


def test_batch_and_deadline_are_those_of_the_profile_that_is_named(
    monkeypatch: pytest.MonkeyPatch, instrument: Instrument
) -> None:
    instrument.measured("fast", 0.131, measured_batch=3)
    instrument.configure("fast")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        for name, batch in (("fast", (3, 20.0)), (None, (1, 5.0))):
            settings = run_with(here, name)[0].settings
            assert (settings["max_batch"], settings["max_delay_ms"]) == batch


def test_a_triggered_camera_is_shared(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    profile = Profile(instrument="b", camera=CameraGeometry(width_px=64, height_px=64), pixel_size=pixel_size(0.2626))
    write_profile(instrument.file("other"), profile)
    with service(monkeypatch, Bench({"profiles": {"other": instrument.file("other")}})) as here:
        here.until("READY")
        for name, um_per_px in (("other", 0.2626), (None, 0.26), ("other", 0.2626)):
            records = here.run(2, profile=name)
            fields = [record for record in records if isinstance(record, FieldRecord)]
            assert [(field.status.value, field.um_per_px) for field in fields] == [("ok", um_per_px)] * 2
        assert here.bench.opened == 1


def test_what_no_run_can_have_is_refused_and_the_service_stays_ready(
    monkeypatch: pytest.MonkeyPatch, instrument: Instrument
) -> None:
    instrument.measured("good", 0.131)
    instrument.measured("expired", 0.131, days=-1)
    instrument.measured("binned", 0.131, width_px=640)
    instrument.measured("unscaled", None)
    instrument.measured("far", 9.0)
    instrument.file("torn").write_text('{"schema_version": 1')
    instrument.configure("good", "expired", "binned", "unscaled", "far", "torn", "gone")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        refused(here, "hgih", "unsupported", "'hgih'", "`good`", "give one of them, or leave it out")
        refused(here, "expired", "state", "'expired' cannot be used", "should have been measured anew by")
        refused(here, "binned", "state", "was measured on frames of 640")
        refused(here, "unscaled", "state", "unscaled.json has no um/px")
        refused(here, "far", "state", "does not fit a model")
        refused(here, "torn", "state", "torn.json cannot be used")
        refused(here, "gone", "state", "gone.json cannot be read")
        here.until("READY")
        assert run_with(here, "good")[0].provenance.profile_name == "good"
        assert run_with(here, None)[0].provenance.profile_name is None


def test_each_is_taken_up_once_it_is_mended(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    monkeypatch.setattr(named_optics, "RETRY_S", 0.0)
    instrument.measured("expired", 0.131, days=-1)
    instrument.configure("expired", "gone")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        for name in ("expired", "gone"):
            refused(here, name, "state", name)
            sha256 = instrument.measured(name, 0.1305)
            about = _as_soon_as_taken(here, name).provenance
            assert (about.profile_name, about.profile_sha256, about.um_per_px) == (name, sha256, 0.1305)


def _as_soon_as_taken(here: ServiceHere, name: str) -> RunStart:
    for _ in range(2000):
        try:
            run_id = here.controller.start_run(profile=name, timeout_s=WITHIN_S)
        except StreamError:
            here.until("READY")
            continue
        start, *_, last = here.controller.records(run_id)
        assert isinstance(start, RunStart) and isinstance(last, RunStop) and last.outcome is RunOutcome.COMPLETED
        return start
    raise AssertionError(f"profile {name} was not taken up")


def test_a_profile_that_expires_while_the_service_goes_on(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    instrument.measured("soon", 0.131)
    instrument.configure("soon")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        run_with(here, "soon")
        profile = load_profile(instrument.file("soon"))[0]
        assert profile.stage is not None
        _expire(monkeypatch, str(profile.stage.expires_at))
        refused(here, "soon", "state", "should have been measured anew by")


def _expire(monkeypatch: pytest.MonkeyPatch, expires_at: str) -> None:
    """As if it were later, for what stands until then."""
    real = Dated.has_expired
    monkeypatch.setattr(Dated, "has_expired", lambda self, now=None: self.expires_at == expires_at or real(self, now))


def test_an_unfit_default_is_a_fault_for_every_run(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    instrument.measured("default", UM_PER_PX, days=-1)
    instrument.measured("good", 0.131)
    instrument.configure("good")
    with instrument.service(monkeypatch) as here:
        here.until("FAULT", "should have been measured anew by")
        refused(here, "good", "state", "default.json should have been measured anew by")
        instrument.measured("default", UM_PER_PX)
        here.until("READY")
        run_with(here, "good")


def test_a_scale_that_is_stated_is_not_put_over_what_a_profile_measured(
    monkeypatch: pytest.MonkeyPatch, instrument: Instrument
) -> None:
    instrument.measured("same", 0.13)
    instrument.measured("other", 0.26)
    instrument.measured("unscaled", None)
    instrument.configure("same", "other", "unscaled", um_per_px=0.13, objective="50x/0.95")
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        refused(here, "other", "state", "says 0.26 um/px", "edge.toml states 0.13", "leave `um_per_px` out")
        for name in ("same", "unscaled"):
            assert run_with(here, name)[0].provenance.um_per_px == 0.13


def test_a_source_that_knows_its_scale_takes_no_other(monkeypatch: pytest.MonkeyPatch, instrument: Instrument) -> None:
    for name, um_per_px in (("same", 0.13), ("other", 0.26)):
        profile = Profile(
            instrument="b", camera=CameraGeometry(width_px=WIDTH_PX, height_px=HEIGHT_PX), pixel_size=pixel_size(um_per_px)
        )
        write_profile(instrument.file(name), profile)
    virtual = f"virtual:seed=1,fields=1,variants=1,width={WIDTH_PX},height={HEIGHT_PX}"
    instrument.configure("same", "other", source=virtual)
    with instrument.service(monkeypatch) as here:
        here.until("READY")
        refused(here, "other", "state", "says 0.26 um/px and virtual:", "is at 0.13 by itself")
        assert run_with(here, "same")[0].provenance.profile_name == "same"


def test_an_edge_without_named_profiles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        here.until("READY")
        refused(here, "low", "unsupported", "has none that a run may name", "leave it out")
        here.run(1)
