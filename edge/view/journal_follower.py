"""The thread that reads a journal while an edge writes it: short looks, each with the file opened anew, and never a lock."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge.contracts.errors import JournalError, LeukoError
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive
from edge.journal.journal_file import log_of
from edge.reports.opened_run import opened_run, record_in
from edge.view.followed_run import FollowedRun

_EVERY_S = 0.25
_MOST_RECORDS = 500
_AT_LEAST_EVERY_S = 2.0
"""Two commits within one tick of the clock leave the file with one time."""
_Seen = TypeVar("_Seen")


class JournalFollower:
    """Follows the run that `wanted` names, else the newest one in `journal`, from `start` to `close`.

    A file that is missing, foreign or held is no error here: `look` sees the sentence, and the next look may be better.
    """

    def __init__(self, journal: Path, wanted: Callable[[], str | None] = lambda: None) -> None:
        self.journal = expanded(journal)
        self._wanted = wanted
        self._run: FollowedRun | None = None
        self._problem = f"journal {self.journal} was not read yet."
        self._stamp: object = None
        self._due_s = 0.0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="leuko-view-journal", daemon=True)

    def start(self) -> "JournalFollower":
        """Read, and go on reading."""
        self._thread.start()
        return self

    def look(self, at: Callable[[FollowedRun | None, str], _Seen]) -> _Seen:
        """What `at` sees of the run and of what is wrong with the journal, while nothing changes."""
        with self._lock:
            return at(self._run, self._problem)

    def close(self) -> None:
        """Read no more. Safe to repeat."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                more = self._read()
                problem = ""
            except (LeukoError, OSError) as why:
                more, problem = False, str(why)
                self._stamp = None
            if problem:
                with self._lock:
                    self._problem = problem
            if not more:
                self._closing.wait(_EVERY_S)

    def _read(self) -> bool:
        """One look; returns whether there is more to read at once."""
        wanted, stamp, now_s = self._wanted(), self._stamped(), time.monotonic()
        if (wanted, stamp) == self._stamp and now_s < self._due_s:
            return False
        self._due_s = now_s + _AT_LEAST_EVERY_S
        archive = Archive(self.journal)
        try:
            numbers = archive.numbers()
            run_id = wanted if wanted in numbers else next(reversed(numbers), None)
            problem = f"{archive.lacks}." if archive.lacks else ""
            if wanted is not None and wanted not in numbers:
                problem = f"journal {self.journal} does not have run {wanted}, which the edge performs; is it that edge's?"
            run = self._run if self._run is not None and self._run.run_id == run_id else None
            if run is None and run_id is not None:
                run = FollowedRun(run_id)
            contents, n_reviews = [], 0
            if run is not None:
                contents = archive.records_from(numbers[run.run_id], run.next_seq, _MOST_RECORDS)
                n_reviews = archive.n_reviews(numbers[run.run_id])
        finally:
            archive.close()
        records = [record_in(content, run.run_id, run.next_seq + at) for at, content in enumerate(contents)] if run else []
        with self._lock:
            self._run, self._problem = run, problem
            for record in records:
                if run is not None:
                    run.take(record)
        more = len(contents) == _MOST_RECORDS
        if run is not None and not more:
            self._report(run, n_reviews)
        self._stamp = None if more else (wanted, stamp)
        return more

    def _report(self, run: FollowedRun, n_reviews: int) -> None:
        """An ended run is what its report says, its chain verified; made again when somebody has judged a cell."""
        if run.stop is None or (run.report is not None and run.n_reviews == n_reviews):
            return
        report = opened_run(self.journal, run.run_id).report
        with self._lock:
            run.report, run.n_reviews = report, n_reviews

    def _stamped(self) -> tuple[tuple[int, int, int], ...]:
        """Changes with every commit: the file's and its log's identity, size and time."""
        found = []
        for path in (self.journal, log_of(self.journal)):
            try:
                known = path.stat()
            except FileNotFoundError:
                continue
            found.append((known.st_ino, known.st_size, known.st_mtime_ns))
        if not found:
            raise JournalError(f"there is no journal {self.journal} yet; give the file that the edge's --journal names.")
        return tuple(found)
