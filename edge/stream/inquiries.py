"""QUERYs that ask more than the runs: how the edge is, what `doctor` finds. A thread looks, because that may take seconds."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.contracts.about_edge import EdgeInfo, Finding, Health
from edge.contracts.errors import first_line
from edge.contracts.messages import Query

_MOST_WAITING = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SelfReport:
    """What an edge can say about itself. The functions are called by one thread at a time, and may take their time."""

    info: EdgeInfo | None = None
    health: Callable[[], Health] | None = None
    doctor: Callable[[], tuple[Finding, ...]] | None = None

    def words(self) -> tuple[str, ...]:
        """What QUERY may ask for."""
        able = (("health", self.health), ("doctor", self.doctor))
        return tuple(word for word, look in able if look is not None)


@dataclass(frozen=True, slots=True)
class Told:
    """What was found for one QUERY of one client; `problem` is why nothing was."""

    identity: bytes
    query: Query
    health: Health | None = None
    doctor: tuple[Finding, ...] | None = None
    problem: str = ""


@dataclass(slots=True)
class Inquiries:
    """Takes questions from the stream's thread and has the answers ready for it; `wake` is called when there is one."""

    report: SelfReport
    wake: Callable[[], None]
    _asked: "queue.SimpleQueue[tuple[bytes, Query] | None]" = field(default_factory=queue.SimpleQueue)
    _told: deque[Told] = field(default_factory=deque)
    _thread: threading.Thread | None = None
    _waiting: int = 0

    def unsupported(self, query: Query) -> list[str]:
        """Words of this QUERY that the edge has no answer to."""
        return [word for word in query.ask if word not in self.report.words()]

    def ask(self, identity: bytes, query: Query) -> bool:
        """Whether the question is taken: not when too many wait already."""
        if self._waiting >= _MOST_WAITING:
            return False
        self._waiting += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="leuko-inquiries", daemon=True)
            self._thread.start()
        self._asked.put((identity, query))
        return True

    def told(self) -> list[Told]:
        """What was found since the last call."""
        found = []
        while self._told:
            found.append(self._told.popleft())
        self._waiting -= len(found)
        return found

    def close(self) -> None:
        """Ask nothing more. Whoever looks still is not waited for."""
        self._asked.put(None)

    def _look(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._told.append(self._answer(*asked))
            self.wake()

    def _answer(self, identity: bytes, query: Query) -> Told:
        report = self.report
        try:
            health = report.health() if report.health and "health" in query.ask else None
            doctor = report.doctor() if report.doctor and "doctor" in query.ask else None
        except Exception as problem:  # noqa: BLE001 looking at the edge must never end it, and the client is told
            _log.warning("what %s asked for could not be found out", query.cmd_id, exc_info=problem)
            return Told(identity, query, problem=first_line(problem))
        return Told(identity, query, health, doctor)
