"""What the page looks at: a telemetry socket, a journal or both, brought together at each look."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from edge.contracts.errors import ConfigError
from edge.reports.reviewing import review_cell
from edge.reports.run_report import ReportedCell
from edge.reports.svg_pictures import ends_legend, field_map
from edge.stream.curve_keys import ClientKeys
from edge.view.field_state import field_state
from edge.view.followed_run import FollowedRun
from edge.view.journal_follower import JournalFollower
from edge.view.page_state import heard_state, run_state, whole_state
from edge.view.shown_pictures import Kept, ShownPictures
from edge.view.telemetry_listener import TelemetryListener


class WatchedEdge:
    """Looked at from `start` to `close`, from any thread. `frames` and `crops` are where pictures are by now.

    Raises `StreamError` for an address or keys that cannot be used.
    """

    def __init__(
        self,
        endpoint: str | None,
        journal: Path | None,
        *,
        keys: ClientKeys | None = None,
        frames: Path | None = None,
        crops: Path | None = None,
        may_review: bool = False,
    ) -> None:
        if may_review and journal is None:
            raise ConfigError("--token lets people review cells, which are in a journal; give --journal FILE, too.")
        self._may_review = may_review
        self._frames, self._crops = frames, crops
        self._follower = JournalFollower(journal, self._performed) if journal else None
        self._listener = TelemetryListener(endpoint, keys) if endpoint else None
        self._pictures: ShownPictures | None = None

    def __enter__(self) -> "WatchedEdge":
        if self._listener is not None:
            self._listener.start()
        if self._follower is not None:
            self._follower.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._follower is not None:
            self._follower.close()
        if self._listener is not None:
            self._listener.close()

    def _performed(self) -> str | None:
        """The run that the edge says it performs, or has performed last."""
        return self._listener.look(lambda heard, _: heard.live.run_id if heard.live else None) if self._listener else None

    def state(self) -> dict[str, Any]:
        """Everything in words and numbers."""
        listener, follower = self._listener, self._follower
        heard = listener.look(lambda seen, problem: heard_state(seen, problem, listener.endpoint)) if listener else None
        run = follower.look(run_state) if follower else None
        return whole_state(heard, run, may_review=self._may_review)

    def map(self) -> str:
        """The fields as far as they are known, as a piece of a page."""
        performed = self._performed()
        if self._follower is not None:
            fields = self._follower.look(
                lambda run, _: run.drawn_fields() if run is not None and performed in {None, run.run_id} else None
            )
            if fields is not None:
                return field_map(fields) + ends_legend() if fields else "<p>No field is on record yet.</p>"
        known = (
            self._listener.look(lambda heard, _: (list(heard.fields.values()), heard.gaps())) if self._listener else ([], [])
        )
        fields, gaps = known
        return field_map(fields, gaps) + ends_legend() if fields else "<p>No field was seen to end yet.</p>"

    def gallery(self) -> dict[str, Any]:
        """Cells by class, as far as they were kept."""
        if self._follower is None:
            return {"said": "Pictures of cells are found through the run's records; give --journal FILE.", "classes": []}

        def shown(run: FollowedRun | None, _: str) -> dict[str, Any]:
            if run is None:
                return {"said": "There is no run yet.", "classes": []}
            cells: dict[str, ReportedCell] = {one.id: one for one in run.report.cells} if run.report else {}
            return self._shown(run).gallery(run.ids, cells) | {"run_id": run.run_id}

        return self._follower.look(shown)

    def field_picture(self, run_id: str, field_index: int) -> bytes | None:
        """JPEG of the frame; None where there is none to be shown."""
        found = self._of_run(run_id, field_index)
        return found[0].field(found[1], found[2]) if found else None

    def field_look(self, run_id: str, field_index: int) -> dict[str, Any] | None:
        """A field of an ended run with its cells as people call them now; None where there is none."""
        report = (
            self._follower.look(lambda run, _: run.report if run and run.run_id == run_id else None) if self._follower else None
        )
        return field_state(report, field_index) if report is not None else None

    def crop_picture(self, run_id: str, number: int) -> bytes | None:
        """JPEG of a kept cell, by its line of the index."""
        found = self._of_run(run_id, None)
        return found[0].crop(number) if found else None

    def review(self, run_id: str, said: Mapping[str, str]) -> int:
        """Append what a person says of a cell. Raises `JournalError` and `DataError`."""
        if self._follower is None:
            raise ConfigError("no journal is read here; start `leuko-edge view` with --journal FILE.")
        return review_cell(self._follower.journal, run_id, said)

    def _of_run(self, run_id: str, field_index: int | None) -> tuple[ShownPictures, str, str] | None:
        def found(run: FollowedRun | None, _: str) -> tuple[ShownPictures, str, str] | None:
            if run is None or run.run_id != run_id:
                return None
            one = next((field for field in reversed(run.fields) if field.field_index == field_index), None)
            if field_index is not None and one is None:
                return None
            return self._shown(run), one.trigger_id if one else "", one.source_name if one else ""

        return self._follower.look(found) if self._follower else None

    def _shown(self, run: FollowedRun) -> ShownPictures:
        if self._pictures is None or self._pictures.kept.run_id != run.run_id or not self._pictures.kept.is_known:
            self._pictures = ShownPictures(Kept.of(run, self._frames, self._crops))
        return self._pictures
