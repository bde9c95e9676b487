"""`~` is the home directory wherever a path comes from, and a file may have any name."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError
from edge.contracts.names import printable
from edge.contracts.user_paths import expanded, expanded_words
from edge.settings.resolution import resolve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_a_tilde_in_a_configuration_is_expanded(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text("journal: ~/j.sqlite\nkeep_frames: ~/frames\nkeep_crops: '~'\nkeys: ~/keys\nengine_dir: ~/engines\n")
    settings = resolve({"source": "virtual:seed=1"}, file).settings
    assert settings.journal == home / "j.sqlite"
    assert (settings.keep_frames, settings.keep_crops, settings.keys) == (home / "frames", home, home / "keys")
    assert settings.engine_dir == home / "engines"


@pytest.mark.parametrize("name", ["bundle", "profile", "signers"])
def test_what_is_read_before_the_settings_is_no_exception(tmp_path: Path, home: Path, name: str) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(f"{name}: ~/none\n")
    with pytest.raises(Exception, match=str(home / "none")):
        resolve({"source": "virtual:seed=1"}, file)


def test_a_tilde_in_a_source_is_expanded(home: Path) -> None:
    cv2.imwrite(str(home / "a.png"), np.full((60, 80, 3), 240, np.uint8))
    for uri in ("folder:~", "folder:~/*.png", "~/a.png"):
        assert open_source(uri, 0.13).info.n_fields == 1


def test_a_file_that_only_begins_with_a_tilde_stays(home: Path) -> None:
    assert expanded(Path("~backup-of-nobody")) == Path("~backup-of-nobody")
    assert expanded(Path("a/~/b")) == Path("a/~/b")
    assert expanded(Path("~")) == home


@pytest.mark.parametrize("key", ["journal", "keep_frames", "source"])
def test_a_setting_that_no_record_can_name_is_refused(key: str) -> None:
    given = {"source": "virtual:seed=1", key: "folder:pr\udce4p" if key == "source" else Path("pr\udce4p")}
    with pytest.raises(ConfigError, match=rf"`{key}` holds bytes that are not UTF-8 \(.*pr\\xe4p\)"):
        resolve(given)


@pytest.mark.parametrize(
    ("name", "shown"), [("pr\udce4p.png", r"pr\xe4p.png"), ("präp.png", "präp.png"), ("\ud800", r"\ud800"), ("", "")]
)
def test_a_record_can_name_any_file(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["run", "--out", ""], "--out is empty", id="an option"),
        pytest.param(["run", "--out="], "--out is empty", id="in one word"),
        pytest.param(["inspect", ""], "argument 2 is empty", id="an argument"),
    ],
)
def test_an_empty_word_is_not_the_current_folder(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        expanded_words(words)
