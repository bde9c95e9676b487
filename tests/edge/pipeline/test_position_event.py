"""A run says by an event that a field shows the place of the one before, and says it again at its end."""

from pathlib import Path

from support.stated_scan import Photographer, places_of
from support.tiny_bundle import write_tiny_bundle

from edge.camera.frame import Frame, SourceInfo
from edge.camera.frame_store import FrameStore
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, FieldRecord, RunStop
from edge.pipeline import Run, StopSwitch, opened, records_of
from edge.settings.resolution import resolve
from edge.virtual import UM_PER_PX

SIZE = (320, 256)
STUCK = (9, 13)


def test_a_stage_that_lies_is_an_event_and_a_doubt(tmp_path: Path) -> None:
    places = places_of(4, 4, 0.0)
    slide = Photographer.of(3).slide
    info = SourceInfo("virtual:seed=3", *SIZE, UM_PER_PX, n_fields=len(places), self_paced=True, is_synthetic=True)
    store = FrameStore(tmp_path / "frames", info, 1000)
    for index, (x_um, y_um) in enumerate(places):
        really = places[index - 1] if index in STUCK else places[index]
        image = slide.render(*really, *SIZE, field_key=index).image
        stage = (round(1000 * x_um), round(1000 * y_um))
        store.add(Frame(f"t{index}", index, "ok", image, UM_PER_PX, 0, index, stage_nm=stage))
    store.close()
    bundle = write_tiny_bundle(tmp_path / "bundle").path
    setup = resolve({"source": f"recording:{tmp_path / 'frames'}", "bundle": str(bundle), "max_batch": 16, "threads": 1})
    with opened(setup) as parts:
        records = list(records_of(Run(setup, parts, RunStartCommand(cmd_id="c", run_id="r"), StopSwitch())))
    fields = [record for record in records if isinstance(record, FieldRecord)]
    assert all(field.counted and field.stage for field in fields) and len(fields) == len(places)
    events = [record for record in records if isinstance(record, Event) and record.severity == "warning"]
    assert [(event.code, event.field_index) for event in events] == [("same_picture", index) for index in STUCK]
    last = records[-1]
    assert isinstance(last, RunStop) and [event.doubt for event in events] == [last.doubts[0], None]
