"""The next fields of a service, seen from beside it: those that it counts from now on, with the frames that it kept."""

import threading
from itertools import islice
from pathlib import Path

import pytest
from support.service_here import WITHIN_S, service

from edge.contracts.errors import SourceError
from edge.rollout import fields_to_compare
from edge.rollout.fields_to_compare import FieldToCompare, next_fields, of_run
from edge.settings import EdgeSettings

pytestmark = pytest.mark.timeout(120)


def test_they_are_those_that_are_counted_from_now_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fields_to_compare, "LOOK_EVERY_S", 0.02)
    journal, kept = tmp_path / "j.sqlite", tmp_path / "kept"
    settings = EdgeSettings(source="made-up:", journal=journal, keep_frames=kept)
    begun, found = threading.Event(), list[FieldToCompare]()

    def look() -> None:
        found.extend(islice(next_fields(settings, WITHIN_S, lambda said: begun.set()), 5))

    with service(monkeypatch, journal=journal, keep_frames=str(kept)) as here:
        here.until("READY")
        former = here.run(2)[0].run_id
        looking = threading.Thread(target=look)
        looking.start()
        assert begun.wait(WITHIN_S)
        runs = [here.run(3)[0].run_id for _ in range(2)]
        looking.join(WITHIN_S)
        assert not looking.is_alive()
    records = [one.record for one in found if one.record is not None]
    assert [(record.run_id, record.field_index) for record in records] == [(runs[0], k) for k in range(3)] + [
        (runs[1], k) for k in range(2)
    ]
    assert all(one.frame.trigger_id == record.trigger_id for one, record in zip(found, records, strict=True))
    assert all(one.frame.image is not None for one in found)
    assert [one.record and one.record.run_id for one in of_run(journal, former, None, None)] == [former] * 2


def test_none_comes_when_none_is_counted_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fields_to_compare, "LOOK_EVERY_S", 0.02)
    settings = EdgeSettings(source="made-up:", journal=tmp_path / "j.sqlite", keep_frames=tmp_path / "kept")
    assert list(next_fields(settings, 0.05, str)) == [], "there is no journal yet, nor a service"


def test_a_run_whose_frames_were_not_kept_cannot_be_shown_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        here.until("READY")
        run_id = here.run(1)[0].run_id
    with pytest.raises(SourceError, match="has kept no frames"):
        list(of_run(tmp_path / "j.sqlite", run_id, None, None))
