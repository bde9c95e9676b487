"""Which journal a run writes: in memory, or the file of --journal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from leukostream.edge.journal.base import Journal
from leukostream.edge.journal.interrupted import end_interrupted
from leukostream.edge.journal.memory import MemoryJournal
from leukostream.edge.journal.retention import Retention
from leukostream.edge.journal.sqlite import SqliteJournal
from leukostream.edge.settings import EdgeSettings

_log = logging.getLogger(__name__)


@contextmanager
def opened_journal(settings: EdgeSettings) -> Iterator[Journal]:
    """Open it, end the runs that a former process left open, and close it. Raises `JournalError`."""
    if settings.journal is None:
        yield MemoryJournal(settings.keep_acknowledged)
        return
    retention = Retention(settings.journal_keep_days, settings.journal_keep_mb)
    journal = SqliteJournal(settings.journal, settings.journal_durability, retention)
    try:
        if journal.forgotten:
            _log.info("%d acknowledged runs were deleted from journal %s", len(journal.forgotten), settings.journal)
        for run_id in end_interrupted(journal, datetime.now(timezone.utc).isoformat(timespec="milliseconds")):
            _log.warning("run %s was interrupted: the edge process ended in mid-run; its controller may still read it", run_id)
        yield journal
    finally:
        journal.close()
