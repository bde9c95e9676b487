"""Which journal a run writes: in memory, or the file of --journal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from edge.contracts.log_context import of_run
from edge.contracts.user_paths import expanded
from edge.journal.base import Journal
from edge.journal.interrupted import end_interrupted
from edge.journal.memory_journal import MemoryJournal
from edge.journal.retention import Retention
from edge.journal.sqlite_journal import SqliteJournal
from edge.settings import IN_MEMORY, EdgeSettings

_log = logging.getLogger(__name__)


@contextmanager
def opened_journal(settings: EdgeSettings, boot_id: str) -> Iterator[Journal]:
    """Open it, end the runs that a former process left open, and close it. Records say that process `boot_id` wrote them.

    Raises `JournalError`, and `ConfigError` when it lies in a home directory and there is none.
    """
    if settings.journal == IN_MEMORY:
        yield MemoryJournal(settings.keep_acknowledged, boot_id)
        return
    path = expanded(settings.journal)
    retention = Retention(settings.journal_keep_days, settings.journal_keep_mb)
    journal = SqliteJournal(path, settings.journal_durability, retention, settings.journal_held_s, boot_id)
    try:
        if journal.warning:
            _log.warning("%s", journal.warning)
        if journal.forgotten.run_ids:
            _log.info("%d acknowledged runs were deleted from journal %s", len(journal.forgotten.run_ids), path)
        if kept := journal.forgotten.kept:
            why = "they were reviewed, or no report was made of them yet"
            _log.info("%d runs stay in journal %s although they are old or large: %s", len(kept), path, why)
        if journal.forgotten.doubt:
            _log.warning("%s: no run of journal %s was deleted for its age; set the clock", journal.forgotten.doubt, path)
        for run_id in end_interrupted(journal, datetime.now(timezone.utc).isoformat(timespec="milliseconds")):
            said = "run %s was interrupted: the edge process ended in mid-run; its controller may still read it"
            _log.warning(said, run_id, extra=of_run(run_id))
        yield journal
    finally:
        journal.close()
