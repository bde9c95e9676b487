"""What `leuko-edge count` does: images, folders and videos through the same run as a camera's fields; the result as files."""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge.camera.several import open_paths
from edge.contracts.errors import ConfigError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Event, FieldRecord, RunStart, RunStop
from edge.journal.journal_file import lock_of, reserve_of
from edge.journal.sqlite_journal import SqliteJournal
from edge.local.count_result import CountResult, tell
from edge.local.count_tables import count_tables
from edge.local.overlay import FramesAtHand, write_overlay
from edge.pipeline import Run, StopSwitch, opened, records_of
from edge.pipeline.parts import Parts
from edge.reports.opened_run import opened_run
from edge.reports.report_text import write_page
from edge.service.process import stop_on_signals
from edge.settings import Setup
from edge.settings.resolution import resolve
from edge.watch.work_progress import field_bar

Pictures = Literal["all", "cells", "none"]
JOURNAL = "journal.sqlite"
PICTURES = "pictures"
CROPS = "crops"
PAGE = "report.html"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written beside the tables; `fields`: no more than so many are counted."""

    out: Path
    pictures: Pictures = "all"
    fields: int | None = None


def count_paths(given: Mapping[str, Any], config: Path | None, paths: Sequence[str], wanted: Wanted, *, as_json: bool) -> int:
    """Count every field of `paths` with the settings `given`, write the result into `wanted.out` and print it.

    Returns the exit code: 0 every field was counted, 4 some were not, 1 the run failed or did not get to its end.
    Raises any `LeukoError` that says why nothing could be counted.
    """
    source_name = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    of_this = {"source": source_name, "policy": "lossless", "journal": wanted.out / JOURNAL}
    if wanted.pictures != "none":
        of_this = {"keep_crops": wanted.out / CROPS, **of_this}
    setup = resolve({**of_this, **given}, config).for_stored_images()
    for warning in setup.warnings:
        _log.warning("%s", warning)
    stop = StopSwitch()
    source = FramesAtHand(open_paths(paths, setup.settings.um_per_px))
    with _new_folder(wanted.out), stop_on_signals(stop), opened(setup, source) as parts:
        result = _count(setup, parts, source, stop, wanted)
    _make_report(result, wanted)
    for beside in (reserve_of(wanted.out / JOURNAL), lock_of(wanted.out / JOURNAL)):
        beside.unlink(missing_ok=True)  # whoever writes a journal needs these, and this one is done
    tell(result, as_json=as_json)
    return result.exit_code


def _count(setup: Setup, parts: Parts, source: FramesAtHand, stop: StopSwitch, wanted: Wanted) -> CountResult:
    order = RunStartCommand(cmd_id="count", run_id=str(uuid.uuid4()), max_fields=wanted.fields)
    result = CountResult(wanted.out)
    with (
        closing(SqliteJournal(wanted.out / JOURNAL, "normal")) as journal,
        count_tables(wanted.out) as tables,
        field_bar() as progress,
    ):
        task = progress.add_task("fields", total=None)
        for record in records_of(Run(setup, parts, order, stop)):
            journal.append(record)
            match record:
                case RunStart():
                    result.start = record
                    progress.update(task, total=record.fields_expected)
                case FieldRecord():
                    image = source.image_of(record.trigger_id)
                    picture = ""
                    if image is not None and record.counted and _is_wanted(record, wanted.pictures):
                        (wanted.out / PICTURES).mkdir(exist_ok=True)
                        picture = f"{PICTURES}/{write_overlay(wanted.out / PICTURES, record, image).name}"
                    tables.add(record, picture)
                    result.add(record)
                    progress.advance(task)
                case Event():
                    result.notes.append(record)
                case RunStop():
                    result.stop = record
        journal.settle()
        journal.acknowledge(order.run_id, journal.next_seq(order.run_id) - 1)  # nobody else will ask for them
    return result


def _make_report(result: CountResult, wanted: Wanted) -> None:
    """The page and the summary, from the records as the journal holds them."""
    opened = opened_run(wanted.out / JOURNAL, result.ends.run_id)
    result.flags = opened.report.flags
    crops = wanted.out / CROPS
    for said in write_page(opened.report, wanted.out / PAGE, crops if crops.is_dir() else None):
        _log.warning("%s", said)
    result.write()


def _is_wanted(record: FieldRecord, pictures: Pictures) -> bool:
    return pictures == "all" or (pictures == "cells" and bool(record.detections))


@contextmanager
def _new_folder(out: Path) -> Iterator[None]:
    """The folder of the result, which must be new or empty; gone again when nothing came into it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder: results of two counts would lie in it; give a new one with --out.")
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()
