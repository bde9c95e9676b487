"""Configurations as people write them, in TOML and in YAML: what is read, and the one sentence for what is not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.errors import ConfigError
from edge.files import parse_toml, toml_value
from edge.settings.config_file import read_config, refuse_newer
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(20)
SOURCE = 'source = "virtual:seed=1"\n'


def read(folder: Path, content: str | bytes, name: str = "edge.toml") -> dict[str, Any]:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_config(file)


@pytest.mark.parametrize(
    ("content", "name", "read_as"),
    [
        pytest.param("max_batch = 2\n", "edge.toml", {"max_batch": 2}, id="TOML"),
        pytest.param("max_batch = 2\n", "EDGE.TOML", {"max_batch": 2}, id="TOML in capitals"),
        pytest.param("max_batch: 2\n", "edge.yaml", {"max_batch": 2}, id="YAML"),
        pytest.param("max_batch: 2\n", "edge.conf", {"max_batch": 2}, id="YAML by another name, as it always was"),
        pytest.param("", "edge.toml", {}, id="nothing"),
        pytest.param("# nothing\n", "edge.yaml", {}, id="a comment alone"),
        pytest.param(b"\xef\xbb\xbfmax_batch = 2\r\n", "edge.toml", {"max_batch": 2}, id="as Notepad saves TOML"),
        pytest.param(b"\xef\xbb\xbfmax_batch: 2\r\n", "edge.yaml", {"max_batch": 2}, id="as Notepad saves YAML"),
        pytest.param("[thresholds]\ndetect = 0.4\n", "edge.toml", {"thresholds": {"detect": 0.4}}, id="a table"),
        pytest.param("thresholds.detect = 0.4\n", "edge.toml", {"thresholds": {"detect": 0.4}}, id="a dotted key"),
        pytest.param('written_for = "0.0.1"\nmax_batch = 2\n', "edge.toml", {"max_batch": 2}, id="of an older version"),
    ],
)
def test_a_file_is_read_by_its_name(content: str | bytes, name: str, read_as: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path, content, name) == read_as


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        pytest.param("max_bach = 2", "edge.toml", ["`max_bach`", "did you mean `max_batch`?"], id="a slip"),
        pytest.param("MAX_BATCH = 2", "edge.toml", ["`MAX_BATCH`", "did you mean `max_batch`?"], id="capitals"),
        pytest.param("max_bach = 2\nbnd = 1", "edge.toml", ["`max_bach` (did", "`bnd` (did you mean `bind`?)"], id="two slips"),
        pytest.param("thresholds.dettect = 1", "edge.toml", ["did you mean `detect`?"], id="a slip within"),
        pytest.param("[edge]\nbind = 'x'", "edge.toml", ["`edge`", "not a known setting"], id="a table that is none"),
        pytest.param(
            "[thresholds]\ndetect = 0.4\nbind = 'x'", "edge.toml", ["above the line [thresholds]"], id="below a heading"
        ),
        pytest.param("max_batch = 2\nmax_batch = 3\n", "edge.toml", ["not valid TOML", "line 2"], id="a key twice"),
        pytest.param("max_batch: 2", "edge.toml", ["not valid TOML", "YAML is read from a file"], id="YAML in a .toml"),
        pytest.param("max_batch = 2", "edge.yaml", ["its name ends in .toml"], id="TOML in a .yaml"),
        pytest.param("max_batch = \n", "edge.toml", ["not valid TOML", "line 1"], id="no value"),
        pytest.param("bind = tcp://x", "edge.toml", ["not valid TOML", "line 1"], id="text without quotes"),
        pytest.param("a = " + "[" * 5000, "edge.toml", ["edge.toml"], id="a nesting without end"),
        pytest.param("max_batch = " + "9" * 5000, "edge.toml", ["edge.toml"], id="a number without end"),
        pytest.param(b"max_batch = 2\n# \xe4", "edge.toml", ["not UTF-8 at byte 16"], id="Latin-1"),
        pytest.param("max_batch = 2".encode("utf-16"), "edge.toml", ["not UTF-8 at byte 0"], id="UTF-16"),
        pytest.param('written_for = "99.0"', "edge.toml", ["written for leukostream 99.0 and this is"], id="a newer version"),
        pytest.param('written_for: "99.0"', "edge.yaml", ["written for leukostream 99.0"], id="a newer version in YAML"),
        pytest.param("written_for = true", "edge.toml", ["must be a version"], id="a version that is none"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(content: str | bytes, name: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content, name)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 400
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param("journal_keep_days = inf", "`journal_keep_days`", id="for ever is no number"),
        pytest.param("keep_frames_mb = nan", "`keep_frames_mb`", id="not a number"),
        pytest.param("max_fields = 2030-01-01", "`max_fields`", id="a date"),
        pytest.param("bind = ['a']", "`bind`", id="a list"),
        pytest.param("log_files = 1", "`log_files`", id="no older log file"),
        pytest.param("log_level = 'verbose'", "`log_level`", id="a level that does not exist"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_the_file(content: str, word: str, tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(f"{SOURCE}{content}\n")
    with pytest.raises(ConfigError) as caught:
        resolve({}, file)
    assert str(file) in str(caught.value) and word in str(caught.value)


@pytest.mark.parametrize(
    ("written_for", "here", "is_newer"),
    [
        ("0.2.0", "0.1.9", True),
        ("0.10", "0.9", True),
        ("0.1.0", "0.1.0", False),
        ("0.1", "0.1.3", False),
        ("1.0.0rc1", "0.9", True),
        ("9.0", "0+not-installed", False),
    ],
)
def test_versions_are_compared_by_their_numbers(written_for: str, here: str, is_newer: bool) -> None:
    if not is_newer:
        refuse_newer(written_for, "x", here)
        return
    with pytest.raises(ConfigError):
        refuse_newer(written_for, "x", here)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_as_toml_is_read_as_it_was(value: object) -> None:
    assert parse_toml(f"key = {toml_value(value)}", "x", ConfigError) == {"key": value}
