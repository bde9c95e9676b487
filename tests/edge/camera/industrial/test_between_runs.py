"""A camera that goes away between two runs is missed at once, looked for, and back for the next one."""

import time

import pytest
from support.scripted_camera import GONE, Bench

from edge.camera.industrial.camera_device import CameraLost
from edge.contracts.errors import SourceError

pytestmark = pytest.mark.timeout(30)


def _unplug(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise GONE

    monkeypatch.setattr(bench.devices[-1], "check", gone)


def _until_back(bench: Bench) -> list[str]:
    """What was said meanwhile."""
    said, until_s = list[str](), time.monotonic() + 20
    while time.monotonic() < until_s:
        try:
            bench.source.look_after()
        except SourceError as problem:
            said.append(str(problem))
            time.sleep(0.01)
        else:
            return said
    raise AssertionError(said)


def test_it_is_missed_looked_for_and_found_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software", monkeypatch, [True, False, True])
    bench.source.look_after()
    _unplug(bench, monkeypatch)
    with pytest.raises(SourceError, match=r"was lost \(no answer\) and is looked for; check its cable and power\."):
        bench.source.look_after()
    _until_back(bench)
    assert len(bench.devices) == 2
    assert [note.code for note in bench.source.notes()][:1] == ["camera_lost"]
    bench.source.close()


def test_another_one_in_its_place_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("trigger=software", monkeypatch)
    _unplug(bench, monkeypatch)
    bench.settings["serial"] = "B"
    until_s = time.monotonic() + 20
    with pytest.raises(CameraLost, match="came back as another one"):
        while time.monotonic() < until_s:
            try:
                bench.source.look_after()
            except CameraLost:
                raise
            except SourceError:
                time.sleep(0.01)
    bench.source.close()
