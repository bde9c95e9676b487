"""An edge without a pipeline, for every test of the stream; no thread of it may be left over."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.c_client import build_checked
from support.scripted_run import Edge, ScriptedRun, StartEdge

from edge.contracts.records import RunOutcome
from edge.journal.memory_journal import MemoryJournal
from edge.stream.server import EdgeServer
from edge.stream.settings import StreamSettings


@pytest.fixture(scope="session")
def c_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built programs of examples/c."""
    return build_checked(tmp_path_factory.mktemp("c-client"))


@pytest.fixture
def start_edge() -> Iterator[StartEdge]:
    edges: list[Edge] = []

    def start(
        n_fields: int = 20,
        *,
        settings: StreamSettings | None = None,
        keep: int = 1000,
        hold: bool = False,
        outcome: RunOutcome = RunOutcome.COMPLETED,
        bind: str = "tcp://127.0.0.1:0",
    ) -> Edge:
        journal = MemoryJournal(keep_acknowledged=keep)
        run = ScriptedRun(journal, n_fields, hold=hold, outcome=outcome)
        edge = Edge(EdgeServer(bind, journal, run.control, "boot-1", settings).start(), journal, run)
        edges.append(edge)
        return edge

    yield start
    for edge in edges:
        edge.run.join()
        edge.server.close(drain_s=0)
    left = [thread.name for thread in threading.enumerate() if thread.name in {"leuko-stream", "scripted-run"}]
    assert not left
