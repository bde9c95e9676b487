"""A profile's light and colours in a run: on the way into the engine, in its provenance, in fields' quality, as an event."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.smears import EMPTY, RED, smear
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.colours import Colours, MeasuredColours, MeasuredLight
from edge.contracts.engine_files import GateSight
from edge.contracts.errors import ProfileError
from edge.contracts.messages import RunStartCommand
from edge.contracts.profile import CameraGeometry, PixelSize, Profile, part_sha256, write_profile
from edge.contracts.records import Event, FieldRecord, FieldStatus, Record, RunStart
from edge.engine.base import Engine
from edge.pipeline import Run, StopSwitch, opened, records_of
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(60)

WIDTH, HEIGHT = 400, 360
KNOWN = {"by hand": {"colours": {"empty": (220, 220, 230), "red_cells": (160, 150, 200)}, "images": 3}}
DATED = {"measured_at": "2026-01-01T00:00:00+00:00", "fields_sha256": "0" * 64, "source": "folder:x", "fields": 20}
SIZE: dict[str, Any] = {"width_px": WIDTH, "height_px": HEIGHT}
SIDE = ((1.0, 0.6), (1.0, 0.6))
LIGHT = MeasuredLight(**DATED, **SIZE, shade=(SIDE, SIDE, SIDE), white=(200, 210, 220), residual=0.001)


def colours(under: MeasuredLight | None = None, expires_at: str | None = None) -> MeasuredColours:
    return MeasuredColours(
        **DATED,
        **SIZE,
        colours=Colours(empty=EMPTY, red_cells=RED),
        spread=Colours(empty=(1, 1, 1), red_cells=(2, 2, 2)),
        saturated=(0, 0, 0),
        um_per_px=0.13,
        illumination_sha256=part_sha256(under) if under else None,
        expires_at=expires_at,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    known = {"reference_colours": {"sources": KNOWN}, "moved_thresholds": {"detect": 0.45}}
    return write_tiny_bundle(tmp_path_factory.mktemp("c") / "bundle", width_px=WIDTH, height_px=HEIGHT, colours=known)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    for seed in range(18):
        cv2.imwrite(str(folder / f"{seed:02d}.png"), smear(WIDTH, HEIGHT, seed=seed))
    return folder


def profile(path: Path, light: MeasuredLight | None, own: MeasuredColours | None) -> Path:
    size = PixelSize(
        um_per_px=0.13,
        uncertainty_um_per_px=0.001,
        line_spacing_um=10,
        lines_found=9,
        image_sha256="a" * 64,
        measured_at="2026-01-01T00:00:00+00:00",
    )
    camera = CameraGeometry(**SIZE)
    write_profile(path, Profile(instrument="scope", camera=camera, pixel_size=size, illumination=light, colours=own))
    return path


def records(source: Path, written: Path, bundle: Bundle, **more: object) -> list[Record]:
    setup = resolve({"source": f"folder:{source}", "profile": written, "bundle": bundle.path, "journal": "memory", **more})
    with opened(setup) as parts:
        return list(records_of(Run(setup, parts, RunStartCommand(cmd_id="c", run_id="r"), StopSwitch())))


def start_of(all_records: list[Record]) -> RunStart:
    assert isinstance(all_records[0], RunStart)
    return all_records[0]


@pytest.mark.parametrize(
    ("light", "own", "colour_name", "has_light"),
    [
        pytest.param(None, colours(), "curves-1:", False, id="colours"),
        pytest.param(LIGHT, colours(LIGHT), "curves-1:", True, id="light, and the colours under it"),
        pytest.param(LIGHT, None, "white-1:", True, id="light alone: white balance"),
        pytest.param(None, None, None, False, id="neither"),
    ],
)
def test_run_start_names_what_is_corrected(
    tmp_path: Path,
    fields: Path,
    bundle: Bundle,
    light: MeasuredLight | None,
    own: MeasuredColours | None,
    colour_name: str | None,
    has_light: bool,
) -> None:
    written = profile(tmp_path / "p.json", light, own)
    start = start_of(records(fields, written, bundle, max_fields=2))
    said = start.provenance
    assert (said.colour_transform or "").startswith(colour_name or "") and (said.colour_transform is None) == (not colour_name)
    assert said.illumination_sha256 == (part_sha256(LIGHT) if has_light else None)
    thresholds = start.settings["thresholds"]
    assert isinstance(thresholds, dict)
    assert thresholds["detect"] == (0.45 if own else 0.3), "thresholds are chosen anew for fields that are moved"
    plain = start_of(records(fields, written, bundle, max_fields=2, correct="nothing"))
    assert plain.provenance.colour_transform is None and plain.provenance.illumination_sha256 is None


def test_the_engine_sees_the_bundles_colours(tmp_path: Path, fields: Path, bundle: Bundle) -> None:
    setup = resolve(
        {"source": f"folder:{fields}", "profile": profile(tmp_path / "p.json", None, colours()), "bundle": bundle.path}
    )
    with opened(setup) as parts:
        slot = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image = parts.source.read(5.0).image
        assert image is not None
        parts.plan.write(image, [slot])
    assert np.median(slot.reshape(-1, 3), axis=0) == pytest.approx((220, 220, 230), abs=3), "most of a field is empty slide"


@pytest.mark.parametrize(
    ("gate_saw", "doubts"),
    [
        pytest.param(None, 0, id="it needed no gate"),
        pytest.param(GateSight("curves-1:0"), 0, id="compared on such fields"),
        pytest.param(GateSight(), 1, id="compared on fields as they come"),
    ],
)
def test_a_gate_that_was_passed_on_other_fields_is_an_event_of_every_run(
    tmp_path: Path, fields: Path, bundle: Bundle, gate_saw: GateSight | None, doubts: int
) -> None:
    written = profile(tmp_path / "p.json", None, colours())
    setup = resolve(
        {"source": f"folder:{fields}", "profile": written, "bundle": bundle.path, "journal": "memory", "max_fields": 2}
    )
    with opened(setup) as parts:
        gated = replace(parts, engine=Gated(parts.engine, gate_saw))
        found = list(records_of(Run(setup, gated, RunStartCommand(cmd_id="c", run_id="r"), StopSwitch())))
    said = [record for record in found if isinstance(record, Event) and record.code == "gate_on_other_fields"]
    assert len(said) == doubts and all(f"--profile {written}" in event.message for event in said)


class Gated:
    """An engine with another word about its gate."""

    def __init__(self, engine: Engine, gate_saw: GateSight | None) -> None:
        self._engine, self.info = engine, replace(engine.info, gate_saw=gate_saw)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._engine, name)


@pytest.mark.parametrize(
    ("gain", "drifts"), [pytest.param(1.0, False, id="the profile's stain"), pytest.param(0.75, True, id="a darker lamp")]
)
def test_drift_is_in_the_fields_quality_and_an_event(
    tmp_path: Path, fields: Path, bundle: Bundle, gain: float, drifts: bool
) -> None:
    folder = tmp_path / "dimmed"
    folder.mkdir()
    for path in sorted(fields.iterdir()):
        cv2.imwrite(str(folder / path.name), cv2.convertScaleAbs(cv2.imread(str(path)), alpha=gain))
    found = records(folder, profile(tmp_path / "p.json", None, colours()), bundle)
    looked_at = [record.quality for record in found if isinstance(record, FieldRecord) and record.quality]
    measured = [quality.colour_drift for quality in looked_at if quality.colour_drift is not None]
    assert len(looked_at) == 18 and len(measured) == 17, "each of sixteen at first, then one in sixteen"
    assert all(value > 0.2 for value in measured) is drifts
    events = [record for record in found if isinstance(record, Event) and record.code == "colour_drift"]
    assert len(events) == drifts and all("leuko-calib colour" in event.message for event in events)


@pytest.mark.parametrize(
    ("light", "own", "why"),
    [
        pytest.param(LIGHT, colours(), "under another light correction", id="colours from before the light"),
        pytest.param(None, colours(LIGHT), "with a light correction", id="colours whose light was taken out"),
    ],
)
def test_colours_measured_under_another_light_are_refused(
    tmp_path: Path, fields: Path, bundle: Bundle, light: MeasuredLight | None, own: MeasuredColours, why: str
) -> None:
    written = profile(tmp_path / "p.json", light, own)
    with pytest.raises(ProfileError, match=why):
        resolve({"source": f"folder:{fields}", "profile": written, "bundle": bundle.path})


def test_what_has_expired_or_has_no_reference_is_said_and_the_run_goes_on(tmp_path: Path, fields: Path) -> None:
    plain = write_tiny_bundle(tmp_path / "plain", width_px=WIDTH, height_px=HEIGHT)
    written = profile(tmp_path / "p.json", None, colours(expires_at="2026-02-01T00:00:00+00:00"))
    setup = resolve({"source": f"folder:{fields}", "profile": written, "bundle": plain.path})
    assert [("measured anew by" in said, "does not say which colours" in said) for said in setup.warnings] == [
        (True, False),
        (False, True),
    ]
    assert setup.colours is None


def test_a_field_of_another_size_has_no_part_in_the_light(tmp_path: Path, bundle: Bundle) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), smear(WIDTH, HEIGHT, seed=1))
    cv2.imwrite(str(folder / "b.png"), smear(300, HEIGHT, seed=2))
    cv2.imwrite(str(folder / "c.png"), smear(WIDTH, HEIGHT, seed=3))
    found = records(folder, profile(tmp_path / "p.json", LIGHT, None), bundle)
    ends = [(record.status, record.detail) for record in found if isinstance(record, FieldRecord)]
    assert [status is FieldStatus.FAILED for status, _ in ends] == [False, True, False]
    assert "300 x 360 px" in ends[1][1]
