"""A run says by an event that the slide's red cells contradict its um/px, and says it again at its end."""

from pathlib import Path

import cv2
import pytest
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, RunStop
from edge.pipeline import Run, StopSwitch, opened, records_of
from edge.settings.resolution import resolve

TRUE_UM_PER_PX = 0.13


@pytest.mark.parametrize(
    ("um_per_px", "cells", "says"),
    [
        pytest.param(TRUE_UM_PER_PX, 22, False, id="right"),
        pytest.param(1.05 * TRUE_UM_PER_PX, 22, False, id="a little off"),
        pytest.param(1.4 * TRUE_UM_PER_PX, 22, True, id="another objective"),
        pytest.param(0.7 * TRUE_UM_PER_PX, 22, True, id="too small"),
        pytest.param(0.5 * TRUE_UM_PER_PX, 6, True, id="half, and it takes all fields to see enough red cells"),
        pytest.param(0.5 * TRUE_UM_PER_PX, 4, True, id="half, for which a few red cells suffice"),
        pytest.param(0.5 * TRUE_UM_PER_PX, 1, False, id="too few red cells for that"),
        pytest.param(1.4 * TRUE_UM_PER_PX, 4, False, id="too few red cells"),
    ],
)
def test_the_run_says_when_red_cells_contradict_it(tmp_path: Path, um_per_px: float, cells: int, says: bool) -> None:
    for index in range(12):  # all of which are measured, however fast the run
        smear = Smear(cells=cells, width_px=400, height_px=320, platelets=1)
        cv2.imwrite(str(tmp_path / f"{index}.png"), draw_smear(smear, index))
    bundle = write_tiny_bundle(tmp_path / "bundle").path
    setup = resolve({"source": str(tmp_path / "*.png"), "um_per_px": um_per_px, "bundle": str(bundle)})
    with opened(setup) as parts:
        records = list(records_of(Run(setup, parts, RunStartCommand(cmd_id="c", run_id="r"), StopSwitch())))
    events = [record for record in records if isinstance(record, Event) and record.code == "scale_contradicted"]
    assert len(events) == says
    last = records[-1]
    assert isinstance(last, RunStop)
    said = [doubt for doubt in last.doubts if "single red cells" in doubt]
    assert said == [event.message for event in events]
    unchecked = [record for record in records if isinstance(record, Event) and record.code == "scale_unchecked"]
    assert [event.severity for event in unchecked] == ["info"] * (cells <= 4 and not says)
    assert all("single red cells were found" in event.message for event in unchecked)
