"""A file is there as a whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from edge.contracts.whole_file import write_whole


def fails_in_the_middle(self: Path, data: bytes) -> int:
    with self.open("wb") as stream:
        stream.write(data[: len(data) // 2])
    raise KeyboardInterrupt


def test_what_is_broken_off_leaves_the_older_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "profile.json"
    file.write_text("older")
    monkeypatch.setattr(Path, "write_bytes", fails_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, "newer")
    assert (os.listdir(tmp_path), file.read_text()) == ([file.name], "older")  # noqa: PTH208


def test_text_is_utf_8_and_permissions_stay(tmp_path: Path) -> None:
    file, new = tmp_path / "a", tmp_path / ("n" * 255)
    file.write_text("older")
    file.chmod(0o640)
    write_whole(file, "µm")
    write_whole(new, b"\xff")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), new.read_bytes()) == (b"\xc2\xb5m", 0o640, b"\xff")
    assert new.stat().st_mode & 0o444 == 0o444


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_text("older")
    link.symlink_to(file)
    write_whole(link, "newer")
    assert (link.is_symlink(), file.read_text()) == (True, "newer")
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "through")
    assert os.read(reading, 100) == b"through"
    os.close(reading)


@pytest.mark.parametrize("name", [pytest.param("nowhere/x", id="no folder"), pytest.param("x" * 300, id="too long")])
def test_an_error_names_the_file_that_was_meant(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / name, "x")
    assert caught.value.filename == str(tmp_path / name)
