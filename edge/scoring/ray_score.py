"""The same slides on a Ray cluster: workers that open the engine once, as many as there is work and room for, on any node.

What is done is on the disk before a worker says so. A worker that is killed is started anew by Ray, with the slides it had in
hand; of these it scores what has no result. Results and slides must be seen from every node under the same paths.
"""

import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError, EngineError, LeukoError, first_line
from edge.scoring.score_place import ScorePlace
from edge.scoring.score_run import Archive, Pending, pending_of, say_notes, score_rows, tell_scores
from edge.scoring.slide_list import SlideEntry
from edge.scoring.slide_score import SlideScorer

LOCAL = "local"
_TOLD = ("slide_id", "status", "failure", "detail", "fields", "wbc", "doubts")
_BLOCKS = 4096
"""Slides are handed out one at a time up to so many, several at a time beyond: Ray's own account grows with their number."""
_STORE_BYTES = 100_000_000
_REACH_S = 10.0


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """`address` is `local`, `auto` (the cluster of this machine), HOST:PORT or ray://HOST:PORT.

    `cpus` and `gpus` are what each worker takes; between `at_least` and `at_most` of them run, as there is work and room.
    """

    address: str
    at_least: int = 1
    at_most: int | None = None
    cpus: float = 1
    gpus: float = 0


def workers_of(text: str | None) -> tuple[int, int | None]:
    """`4` as exactly four, `1-16` as one to sixteen, None as one to what the cluster has room for. Raises `ConfigError`."""
    if text is None:
        return 1, None
    found = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high:
        raise ConfigError(f"--workers {text!r} is no number of workers; write for example 4, or 1-16.")
    return low, high


class SlideWorker:
    """One worker: Ray makes it in a process of its own, and calls it for slide after slide."""

    def __init__(self, given: Mapping[str, Any], config: str | None, out: str) -> None:
        self._scorer = SlideScorer(given, Path(config) if config else None)
        self._place = ScorePlace(Path(out), self._scorer.order())

    def __call__(self, slide: dict[str, Any]) -> dict[str, str]:
        """A slide's row, as far as the summary needs it; one that a worker before this one had finished is not done again."""
        entry = SlideEntry(**json.loads(slide["entry"]))
        row = self._place.row_of(entry.slide_id)
        if row is None or not self._scorer.is_done(entry, row, retry_failed=bool(slide["retry_failed"])):
            row = self._scorer.score(entry, self._place)
        return {"row": json.dumps({name: row.get(name) for name in _TOLD})}


def score_on_ray(archive: Archive, workers: RayWorkers, *, as_json: bool = False) -> int:
    """`score_archive` on a Ray cluster. Raises `LeukoError` too when there is none, or Ray gives up."""
    with closing(SlideScorer(archive.given, archive.config)) as scorer:
        pending = pending_of(archive, scorer)
    say_notes(pending.summary)
    if pending.entries:
        with _output_to_error(), _cluster(workers):
            score_rows(pending, _rows(archive, workers, pending))
    tell_scores(pending.summary, as_json=as_json)
    return pending.summary.exit_code


def _rows(archive: Archive, workers: RayWorkers, pending: Pending) -> Iterator[dict[str, Any]]:
    import ray.data  # noqa: PLC0415 an extra
    from ray.exceptions import RayError  # noqa: PLC0415

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # A failed slide is tried again by the next call. Within this one its row stands, also for a worker that takes over.
    slides = [{"entry": json.dumps(entry.plain()), "retry_failed": False} for entry in pending.entries]
    given = {name: str(value) if isinstance(value, Path) else value for name, value in archive.given.items()}
    own = (given, str(archive.config) if archive.config else None, str(archive.out.resolve()))
    pool = ray.data.ActorPoolStrategy(min_size=workers.at_least, max_size=workers.at_most)
    data = ray.data.from_items(slides, override_num_blocks=min(len(slides), _BLOCKS)).map(
        SlideWorker, fn_constructor_args=own, compute=pool, num_cpus=workers.cpus, num_gpus=workers.gpus or None
    )
    try:
        for one in data.iter_rows():
            yield json.loads(one["row"])
    except RayError as problem:
        raise _own(problem) from problem


def _own(problem: Exception) -> LeukoError:
    """The sentence of a worker that gave up, or what Ray says of itself."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, LeukoError):
            return type(cause)(str(cause))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return EngineError(f"Ray could not go on ({first_line(problem)}); what is done is kept: call again.")


@contextmanager
def _cluster(workers: RayWorkers) -> Iterator[None]:
    # Ray would report its use to a public server.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # what it holds back it says at the very end
    import ray  # noqa: PLC0415 an extra
    from ray.exceptions import RayError  # noqa: PLC0415

    room: dict[str, Any] = {"object_store_memory": _STORE_BYTES, "include_dashboard": False}
    if workers.address == LOCAL and workers.at_most is not None:
        room["num_cpus"] = max(os.cpu_count() or 1, int(workers.at_most * workers.cpus))
    _look_for(workers.address)
    address, own = (LOCAL, room) if workers.address == LOCAL else (workers.address, {})
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as problem:
        raise ConfigError(
            f"there is no Ray cluster at {workers.address!r} ({first_line(problem)}); start one with `ray start --head`, or "
            "use --ray local."
        ) from problem
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _look_for(address: str) -> None:
    """Ray itself asks an address at which nobody is for minutes. Raises `ConfigError`."""
    found = re.fullmatch(r"(?:ray://)?(\[[^\]]+\]|[^:/]+):(\d{1,5})", address)
    if found is None:
        if address not in {LOCAL, "auto"}:
            raise ConfigError(f"--ray {address!r} is no cluster; write local, auto, HOST:PORT or ray://HOST:PORT.")
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=_REACH_S).close()
    except (OSError, OverflowError) as problem:
        raise ConfigError(
            f"there is no Ray cluster at {address!r} ({first_line(problem)}); start one with `ray start --head`, or use "
            "--ray local."
        ) from problem


@contextmanager
def _output_to_error() -> Iterator[None]:
    """Ray writes what becomes of its workers to the file of standard output, which is the summary's."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
