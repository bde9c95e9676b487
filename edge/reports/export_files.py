"""`leuko-edge export`: a run's result for other programs, as files; how they travel is the host's."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from edge.contracts.errors import ConfigError, LeukoError, first_line
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import write_whole
from edge.journal.reviews import now
from edge.reports.analyte_codes import Specimen
from edge.reports.cell_tables import write_tables
from edge.reports.geojson_cells import Unit, coordinates_of, geojson_of
from edge.reports.hl7_message import hl7_of
from edge.reports.lis2_message import lis2_of
from edge.reports.opened_run import opened_run
from edge.reports.report_text import refuse_broken
from edge.reports.run_report import Report
from edge.reports.training_export import DESCRIPTION, export_training

As = Literal["csv", "geojson", "coco", "yolo", "hl7", "astm"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is exported, and where to. `frames`: where the kept frames are now; the rest concerns single forms."""

    how: As
    out: Path
    frames: Path | None = None
    unit: Unit = "px"
    field: int | None = None
    specimen: Specimen = "unknown"
    only_reviewed: bool = False


def export_result(journal: Path, run_id: str, wish: Wish) -> None:
    """Write it and say what was written. Raises `JournalError` for records that are not whole, and what each form raises."""
    opened = opened_run(journal, run_id)
    refuse_broken(opened)
    out = expanded(wish.out)
    said = _FORMS[wish.how](opened.report, wish, out)
    say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
    state = opened.report.state + (f" ({opened.report.why})" if opened.report.why else "")
    say(f"run {opened.report.run_id}, {state}: {said}")
    if note := opened.note(f"{wish.how} {wish.out}"):
        say(note)


def _csv(report: Report, wish: Wish, out: Path) -> str:
    with _new_folder(out) as folder:
        names = write_tables(report, folder)
    return f"{', '.join(names)} in {out}"


def _geojson(report: Report, wish: Wish, out: Path) -> str:
    if wish.field is not None and wish.field not in {one.field_index for one in report.fields}:
        raise ConfigError(f"run {report.run_id} has no field {wish.field}; give --field an index that fields.csv has.")
    _write(out, geojson_of(report, wish.unit, wish.field))
    return f"{out}; {coordinates_of(report, wish.unit, wish.field)}"


def _training(report: Report, wish: Wish, out: Path) -> str:
    with _new_folder(out) as folder:
        how: Literal["coco", "yolo"] = "coco" if wish.how == "coco" else "yolo"
        done = export_training(report, how, folder, wish.frames, only_reviewed=wish.only_reviewed)
    missing = ""
    if done.without_picture:
        missing = f"; {done.without_picture} fields have no picture any more, or one that was changed since, and are left out"
    check = f"leuko-train data check --data {out / DESCRIPTION} --root {out}"
    return f"{done.fields} fields with {done.boxes} boxes in {out}{missing}; {check} looks at them"


def _hl7(report: Report, wish: Wish, out: Path) -> str:
    _write(out, hl7_of(report, wish.specimen, now()))
    return f"an OUL^R22 message in {out}{_without_sample(report)}"


def _astm(report: Report, wish: Wish, out: Path) -> str:
    _write(out, lis2_of(report, wish.specimen, now()))
    return f"a LIS2-A2 message in {out}{_without_sample(report)}"


def _without_sample(report: Report) -> str:
    return "" if report.sample_id else "; it names no sample, because the run has none (--sample-id)"


_FORMS: dict[As, Callable[[Report, Wish, Path], str]] = {
    "csv": _csv,
    "geojson": _geojson,
    "coco": _training,
    "yolo": _training,
    "hl7": _hl7,
    "astm": _astm,
}


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({first_line(problem)}); give another file with --out.") from problem


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A folder that was empty or not there; what was begun in it goes when it does not become whole. Raises `ConfigError`."""
    was_there = path.is_dir()
    try:
        if was_there and any(path.iterdir()):
            raise ConfigError(f"{path} is not empty; give a new folder with --out.")
        path.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        except BaseException:
            _remove(path, but_folder=was_there)
            raise
    except LeukoError:
        raise
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({first_line(problem)}); give another folder with --out.") from problem


def _remove(folder: Path, *, but_folder: bool) -> None:
    for one in folder.iterdir():
        shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
    if not but_folder:
        folder.rmdir()
