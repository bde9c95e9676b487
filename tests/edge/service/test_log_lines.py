"""The log: JSON lines with their run and field, set aside when they have grown; never a slide's or sample's id."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.full_disk import files_limited_to

from edge.contracts.errors import ConfigError
from edge.contracts.hidden_ids import HiddenIds
from edge.contracts.log_context import LOG_CONTEXT, of_field, of_run
from edge.service.process import set_up_logging

pytestmark = pytest.mark.timeout(30)
_log = logging.getLogger("tests.log")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    for each in root.handlers:
        each.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    LOG_CONTEXT.begin_run("", None, None)
    LOG_CONTEXT.end_run()


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def lines_of(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_line_of_a_run_has_its_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("info", file)
    _log.info("before")
    LOG_CONTEXT.begin_run("3f8e1c0a-1", "S-1", None)
    _log.warning("slow", extra=of_field(12, "t-12"))
    LOG_CONTEXT.end_run()
    _log.info("another", extra=of_run("77aa-2"))
    keys = ("message", "run_id", "field_index", "trigger_id")
    assert [tuple(line.get(key) for key in keys) for line in lines_of(file)] == [
        ("before", None, None, None),
        ("slow", "3f8e1c0a-1", 12, "t-12"),
        ("another", "77aa-2", None, None),
    ]
    assert {"time", "level", "thread", "logger"} <= lines_of(file)[0].keys()
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].endswith(": before") and shown[1].endswith(": slow [run 3f8e1c0a, field 12]")


def test_json_on_standard_error_and_tracebacks_in_their_own_key(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", None, "json")
    try:
        raise ValueError("ü\n\x00")
    except ValueError:
        _log.exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "failed" and "ValueError: ü" in json.loads(line)["traceback"]
    assert line.isascii()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("sample_id", ["A-1", "2024/17", "Ä. Müller", "0042", "O'Brien; DROP", ".*"])
def test_no_line_has_the_id_of_a_slide_or_sample(
    form: str, sample_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("debug", file, form)  # type: ignore[arg-type]
    LOG_CONTEXT.begin_run("run-1", "Slide_77", sample_id)
    _log.info("reads folder:/data/SLIDE_77/%s/1.png", sample_id)
    try:
        raise FileNotFoundError(2, "no", f"/data/slide_77/{sample_id}")
    except FileNotFoundError as problem:
        _log.debug("where it failed", exc_info=problem)
    LOG_CONTEXT.end_run()
    _log.info("%s is over", "slide_77")
    written = file.read_text() + capsys.readouterr().err
    assert "slide_77" not in written.lower() and written.count("(slide id)") >= 6
    if len(sample_id) >= 3:
        assert all(sample_id not in str(line.get(key)) for line in lines_of(file) for key in ("message", "traceback"))


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("A-1", "x"), ("fields of A-1.", "fields of x."), ("A-12", "A-12"), ("BA-1", "BA-1"), ("/A-1_03.png", "/x_03.png"),
        ("a-1", "x"), ("SMEAR-2024-17b", "yb"), ("", ""), ("7 fields, 12 ms", "7 fields, 12 ms"),
    ],
)  # fmt: skip
def test_an_id_is_found_within_words_unless_it_may_be_chance(text: str, without: str) -> None:
    hidden = HiddenIds({"A-1": "x", "SMEAR-2024-17": "y", "7": "z", "12": "z"})
    assert hidden.in_text(text) == without
    assert hidden.in_document({"k": [text, 7, None], "A-1": {}}) == {"k": [without, 7, None], "A-1": {}}


def test_no_message_is_longer_than_one(tmp_path: Path) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("info", file)
    _log.info("%s", "0" * 10_000_000)
    (line,) = lines_of(file)
    assert len(str(line["message"])) < 5000 and "(cut, 10000000 characters)" in str(line["message"])


def test_a_file_that_has_grown_is_set_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("info", file, file_mb=0.001, files=3)
    for number in range(100):
        _log.info("line %d", number)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"edge.log", "edge.log.1", "edge.log.2", "edge.log.lock"}
    kept = [line["message"] for name in ("edge.log.2", "edge.log.1", "edge.log") for line in lines_of(tmp_path / name)]
    assert kept == [f"line {number}" for number in range(100 - len(kept), 100)]


def test_one_process_at_a_time_writes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("info", file)
    script = "from edge.service.process import set_up_logging; from pathlib import Path; "
    script += f"set_up_logging('info', Path({str(file)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "is written by another process" in done.stderr


@pytest.mark.parametrize("place", ["none/edge.log", "."])
def test_a_file_that_cannot_be_written_is_an_error_at_once(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"log file .* cannot be written"):
        set_up_logging("info", tmp_path / place)


def test_a_full_disk_costs_lines_and_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edge.log"
    set_up_logging("info", file, file_mb=10)
    _log.info("first")
    with files_limited_to(file.stat().st_size + 10):
        for number in range(5):
            _log.info("lost %d", number)
    _log.info("again")
    said = capsys.readouterr().err
    assert said.count("cannot be written (") == 1 and "Traceback" not in said
    messages = [str(json.loads(line)["message"]) for line in file.read_text().splitlines() if _is_whole(line)]
    assert messages[0] == "first" and messages[-1] == "again (5 lines before this one could not be written)"
