"""What is no file keeps no command waiting: pipes and devices given where a file is wanted are refused with a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.contracts.whole_file import SMALL_BYTES, read_whole

pytestmark = pytest.mark.timeout(60)


def test_a_file_is_read_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    assert read_whole(file) == b"x" * 100_000
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read_whole(link, SMALL_BYTES) == b"x" * 100_000


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(os.mkfifo, "it is a pipe or a device", id="a pipe that nobody writes to"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "it is a pipe or a device", id="a device without an end"),
        pytest.param(lambda path: path.mkdir(), "Is a directory", id="a folder"),
        pytest.param(
            lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 30), "which is no such file", id="huge"
        ),
        pytest.param(lambda path: None, "No such file", id="nothing"),
    ],
)
def test_what_is_no_file_is_an_error(tmp_path: Path, make: "object", says: str) -> None:
    path = tmp_path / "path"
    assert callable(make)
    make(path)
    with pytest.raises(OSError, match=says) as caught:
        read_whole(path, SMALL_BYTES)
    assert caught.value.filename is None or str(caught.value.filename) == str(path), "no number of a descriptor"


COMMANDS = [
    ("edge", "keys allow {} --keys {}/keys"),
    ("edge", "simulate tcp://127.0.0.1:9 --patience-s 0.1 --notebook {}"),
    ("edge", "sign put {} --key {}"),
    ("edge", "run --source virtual:seed=1 --config {}"),
    ("edge", "run --source virtual:seed=1 --profile {}"),
    ("calib", "pixel-size {} --line-spacing-um 10 --out out.json"),
    ("trainer", "fit --recipe {} --data data.yaml --root . --out out"),
    ("trainer", "report {} --out out"),
]


@pytest.mark.parametrize(("room", "words"), COMMANDS, ids=[f"{room} {words}" for room, words in COMMANDS])
def test_no_command_waits_at_a_pipe(tmp_path: Path, room: str, words: str) -> None:
    pipe = tmp_path / "named.key"
    os.mkfifo(pipe)
    script = f"import sys; sys.argv = ['x', *{[word.replace('{}', str(pipe)) for word in words.split()]!r}]; "
    done = subprocess.run(
        [sys.executable, "-c", f"{script}from {room}.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=50,
    )
    assert done.returncode not in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.strip()
