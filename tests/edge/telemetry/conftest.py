"""Telemetry without an edge, and keys; no thread of it may be left over."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.telemetry_bench import Bench

from edge.stream.curve_keys import EDGE, AllowList, new_pair


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for telemetry in bench.started:
        telemetry.close()
    left = [thread.name for thread in threading.enumerate() if thread.name in {"leuko-telemetry", "leuko-metrics"}]
    assert not left


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """An edge's keys; `dashboard` is allowed, `stranger` is not."""
    folder = tmp_path / "edge-keys"
    new_pair(folder, EDGE)
    AllowList(folder).allow(new_pair(tmp_path / "clients", "dashboard")[0])
    new_pair(tmp_path / "clients", "stranger")
    return folder
