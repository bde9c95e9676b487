"""One slide scored: the same run as a camera's, over its own fields, and its tables written; whatever happens is a row."""

import hashlib
import json
import logging
import platform
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from edge.camera.frame import FrameSource
from edge.camera.profile_camera import require_camera
from edge.camera.several import open_paths
from edge.contracts.errors import BundleError, ConfigError, EngineError, LeukoError, first_line, sentence_of
from edge.contracts.messages import RunStartCommand
from edge.contracts.names import printable
from edge.contracts.records import Event, FieldRecord, RunOutcome, RunStart, RunStop
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.pipeline import Parts, Run, StopSwitch, records_of
from edge.pipeline.field_correction import correction_for
from edge.scoring.engine_shelf import EngineShelf
from edge.scoring.score_place import ScorePlace
from edge.scoring.score_tables import CELLS, FIELDS, TableBuffer, cell_rows, field_row, origin_columns, result_columns
from edge.scoring.slide_list import SlideEntry
from edge.settings import Setup
from edge.settings.resolution import resolve

Failure = Literal["", "slide", "engine", "defect"]
"""Whose it was. A slide's own is its result; what an engine or a defect has cost is tried again by the next call."""

IN_A_ROW = 3
"""So many slides one after the other for which no engine opens are the machine's matter: it must not use up an archive."""

_SLIDE_ID_CHARACTERS = 128
_ORDERED = frozenset({"engine", "precision", "correct", "objective", "signers", "allow_ungated_engine", "max_fields"})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SlideScore:
    """What became of a slide: its row, and what the other two tables have of it."""

    row: dict[str, Any]
    failure: Failure = ""
    cells: TableBuffer = field(default_factory=lambda: TableBuffer(CELLS))
    fields: TableBuffer = field(default_factory=lambda: TableBuffer(FIELDS))

    def fail(self, failure: Failure, detail: str) -> "SlideScore":
        self.failure = failure
        self.row |= {"status": "failed", "failure": failure, "detail": printable(detail)}
        return self


class SlideScorer:
    """Scores slides one after the other with one model and the same settings; keeps its engines open between them.

    Belongs to one thread. Raises any `LeukoError` when bundle or settings cannot be used, before there is a slide.
    """

    def __init__(self, given: Mapping[str, Any], config: Path | None) -> None:
        self._given, self._config = dict(given), config
        base = resolve({**self._given, "source": "folder:slides"}, config)
        self.warnings = base.warnings
        self._settings, self._bundle_id, self._origins = base.settings, base.bundle.bundle_id, base.origins
        self._setup_of = lru_cache(maxsize=64)(self._resolved)
        self._shelf = EngineShelf()
        self._unopened = 0

    def order(self) -> dict[str, Any]:
        """What all slides are scored with, as `score.json` says it."""
        settings = self._settings.model_dump(mode="json", include=set(_ORDERED))
        thresholds = self._settings.thresholds.model_dump() if self._settings.thresholds else {}
        # A profile's, or the bundle's own, are said by what says who they are.
        stated = {key for key, origin in self._origins.items() if origin.kind in {"option", "file"}}
        settings["thresholds"] = {key: value for key, value in thresholds.items() if f"thresholds.{key}" in stated}
        return {"bundle_id": self._bundle_id, **settings}

    def input_sha256(self, entry: SlideEntry) -> str:
        """Of all that one slide's result rests on beside its own files. Raises OSError when its profile cannot be read."""
        profile = entry.profile or self._settings.profile
        sha256 = _sha256_of(str(profile)) if profile is not None else None
        scale = entry.um_per_px or self._given.get("um_per_px") or self._settings.um_per_px
        what = [entry.slide_id, entry.location, scale, sha256, self.order()]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def is_done(self, entry: SlideEntry, row: Mapping[str, Any] | None, *, retry_failed: bool) -> bool:
        """Whether this row of an earlier call still is the slide's result."""
        if row is None or row["failure"] in {"engine", "defect"} or (retry_failed and row["status"] == "failed"):
            return False
        try:
            return bool(row["input_sha256"] == self.input_sha256(entry))
        except OSError:
            return False

    def score(
        self, entry: SlideEntry, place: ScorePlace, on_field: Callable[[int | None], None] = lambda _: None
    ) -> dict[str, Any]:
        """Score a slide and put it on the disk; returns its row. `on_field` is told of each field, with how many there are.

        Raises `EngineError` when no engine opens for slide after slide, and OSError when the result cannot be written; what a
        slide itself has is its row.
        """
        score = self._scored(entry, on_field)
        place.commit(score.row, score.cells, score.fields)
        if self._unopened >= IN_A_ROW:
            raise EngineError(
                f"no engine opened on {platform.node()} for {IN_A_ROW} slides in a row; the last time: {score.row['detail']} "
                "What is done is kept, and the next call scores these slides, too."
            )
        return score.row

    def close(self) -> None:
        self._shelf.close()

    def _scored(self, entry: SlideEntry, on_field: Callable[[int | None], None]) -> SlideScore:
        blank = self._blank(entry)
        if entry.problem:
            return blank.fail("slide", entry.problem)
        try:
            score = self._run(entry, blank, on_field)
            if score.failure == "engine":  # perhaps it was only in a bad way: what a fresh one says holds
                _log.warning("slide %s: %s It is scored once more by a fresh engine.", entry.slide_id, score.row["detail"])
                self._shelf.close()
                score = self._run(entry, self._blank(entry), on_field)
                if score.failure == "engine":
                    self._shelf.close()
        except BundleError:
            raise
        except EngineError as problem:
            self._unopened += self._shelf.is_empty  # else it is for frames of this slide's size alone
            return self._blank(entry).fail("engine", str(problem))
        except LeukoError as problem:
            return self._blank(entry).fail("slide", str(problem))
        except OSError as problem:
            name = f" ({problem.filename})" if problem.filename else ""
            return self._blank(entry).fail("slide", f"the system refuses this slide: {first_line(problem)}{name}.")
        except MemoryError:
            raise
        except Exception as problem:  # noqa: BLE001 one slide never stops the others
            _log.error("slide %s failed by a defect: %s", entry.slide_id, problem)
            _log.debug("where it failed", exc_info=problem)
            return self._blank(entry).fail("defect", sentence_of(problem, "scoring this slide failed by a defect"))
        self._unopened = 0
        return score

    def _blank(self, entry: SlideEntry) -> SlideScore:
        try:
            sha256 = self.input_sha256(entry)
        except OSError:
            sha256 = ""
        row = {
            "slide_id": entry.slide_id,
            "run_id": str(uuid.uuid5(uuid.NAMESPACE_OID, sha256 or entry.slide_id)),
            "location": printable(entry.location),
            "profile": entry.profile,
            "status": "scored",
            "failure": "",
            "detail": "",
            "bundle_id": self._bundle_id,
            "input_sha256": sha256,
            "scored_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        return SlideScore(row)

    def _resolved(self, profile: str | None, um_per_px: float | None) -> Setup:
        own: dict[str, Any] = {"profile": profile, "um_per_px": um_per_px}
        own = {key: value for key, value in own.items() if value is not None}
        setup = resolve({**self._given, **own, "source": "folder:slides"}, self._config)
        if setup.bundle.bundle_id != self._bundle_id:
            raise BundleError(f"{setup.bundle.path} is another bundle than it was when this began; leave it alone meanwhile.")
        return setup.for_stored_images()

    def _run(self, entry: SlideEntry, score: SlideScore, on_field: Callable[[int | None], None]) -> SlideScore:
        setup = self._setup_of(entry.profile, entry.um_per_px)
        with closing(open_paths([entry.opened], setup.settings.um_per_px)) as source:
            return self._run_over(source, setup, entry, score, on_field)

    def _run_over(
        self, source: FrameSource, setup: Setup, entry: SlideEntry, score: SlideScore, on_field: Callable[[int | None], None]
    ) -> SlideScore:
        if setup.profile_camera is not None:
            require_camera(setup.profile_camera, source.info, setup.settings.profile, setup.settings.objective)
        engine, plan = self._shelf.engine_for(source.info, setup, correction_for(setup))
        name = entry.slide_id if len(entry.slide_id) <= _SLIDE_ID_CHARACTERS else None
        order = RunStartCommand(cmd_id="score", run_id=score.row["run_id"], slide_id=name)
        notes: list[Event] = []
        first_uncounted, uncounted, expected = "", 0, source.info.n_fields
        for record in records_of(Run(setup, Parts(source, engine, plan), order, StopSwitch())):
            match record:
                case RunStart():
                    score.row |= origin_columns(record)
                    expected = record.fields_expected
                case FieldRecord():
                    score.fields.add([field_row(entry.slide_id, record)])
                    score.cells.add(cell_rows(entry.slide_id, record))
                    if not record.counted:
                        uncounted += 1
                        first_uncounted = first_uncounted or record.detail
                    on_field(expected)
                case Event():
                    notes.append(record)
                case RunStop():
                    score.row |= result_columns(record, notes)
                    if record.outcome is not RunOutcome.COMPLETED:
                        return score.fail("engine" if engine.failure else "slide", record.detail)
        if uncounted:
            total = score.row["fields"]
            score.row["detail"] = f"{uncounted} of {total} fields were not counted; the first: {first_uncounted}"
        return score


@lru_cache(maxsize=256)
def _sha256_of(path: str) -> str:
    return hashlib.sha256(read_whole(Path(path), SMALL_BYTES)).hexdigest()


def check_settings(given: Mapping[str, Any]) -> None:
    """Raises `ConfigError` for what an archive has no use for."""
    if given.get("policy", "lossless") != "lossless":
        raise ConfigError("slides are scored whole; leave out the policy `latest`, which drops fields.")
