"""Engines lie beside their bundle and, where that cannot be written, in the user's data directory; both are looked into."""

import json
import pwd
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from support.made_up_engine import machine, write_engine
from support.tiny_bundle import write_tiny_bundle
from support.unwritable import not_mine_to_write, python, why_no_read_only_disk, with_read_only

from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.errors import EngineError
from edge.engine.choice import choose_engine
from edge.engine.engine_places import engine_places, named, place_to_build
from edge.engine.survey import Wanted, survey
from edge.settings import SHIPPED_BUNDLE

pytestmark = pytest.mark.timeout(30)
WANTED = Wanted(160, 128, 4)
Situation = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that every user may read, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def shelf(readable: Path) -> Path:
    """The directory in which the bundle lies."""
    (readable / "shelf").mkdir()
    return readable / "shelf"


@pytest.fixture
def bundle(shelf: Path) -> Bundle:
    return write_tiny_bundle(shelf / "bundle")


@pytest.fixture
def user_engines(readable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own directory of engines, which is not there yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(readable / "data"))
    return readable / "data" / "leukostream" / "engines"


def _nothing(_: Path) -> AbstractContextManager[None]:
    return nullcontext()


def _engines_are_there(shelf: Path) -> AbstractContextManager[None]:
    (shelf / "engines").mkdir()
    return nullcontext()


def _a_file_in_the_way(shelf: Path) -> AbstractContextManager[None]:
    (shelf / "engines").write_text("no directory")
    return nullcontext()


def _a_link_to_nothing(shelf: Path) -> AbstractContextManager[None]:
    (shelf / "engines").symlink_to(shelf / "gone")
    return nullcontext()


def _another_user_s(shelf: Path) -> AbstractContextManager[None]:
    return not_mine_to_write(shelf)


def _engines_of_another_user(shelf: Path) -> AbstractContextManager[None]:
    (shelf / "engines").mkdir()
    shelf.chmod(0o777)
    return not_mine_to_write(shelf / "engines")


@pytest.mark.parametrize(
    ("situation", "is_written_beside"),
    [
        pytest.param(_nothing, True, id="nothing in the way: a directory can be made"),
        pytest.param(_engines_are_there, True, id="other engines are there"),
        pytest.param(_a_file_in_the_way, False, id="a file has the directory's name"),
        pytest.param(_a_link_to_nothing, False, id="a link leads nowhere, and nothing can be made under its name"),
        pytest.param(_another_user_s, False, id="the bundle's place is another user's, as one that was installed by root"),
        pytest.param(_engines_of_another_user, False, id="only the engines are: somebody else has built them"),
    ],
)
def test_engines_lie_beside_the_bundle_or_with_the_user(
    shelf: Path,
    bundle: Bundle,
    user_engines: Path,
    situation: Situation,
    is_written_beside: bool,
) -> None:
    beside = shelf / "engines"
    with situation(shelf):
        places, to_build = engine_places(bundle), place_to_build(bundle)
    assert places == ((beside,) if is_written_beside else (beside, user_engines))
    assert to_build == places[-1]
    assert not user_engines.parent.exists()  # whoever only looks makes nothing


def test_a_read_only_disk_is_no_place_to_write(shelf: Path, bundle: Bundle, user_engines: Path) -> None:
    if reason := why_no_read_only_disk():
        pytest.skip(reason)
    script = """if True:
        import json, sys
        from pathlib import Path
        from edge.contracts.bundle import load_bundle
        from edge.engine.engine_places import engine_places
        print(json.dumps([str(place) for place in engine_places(load_bundle(Path(sys.argv[1])))]))
    """
    command = with_read_only(shelf, python(script, str(bundle.path)))
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [str(shelf / "engines"), str(user_engines)]


def test_the_package_s_own_directory_is_never_written_but_looked_into(user_engines: Path) -> None:
    """Even where this user may write there: what lies in an installed package is pip's."""
    shipped = load_bundle(SHIPPED_BUNDLE)
    assert engine_places(shipped) == (SHIPPED_BUNDLE.parent / "engines", user_engines)
    assert place_to_build(shipped) == user_engines


@pytest.mark.usefixtures("user_engines")
def test_a_directory_that_was_asked_for_is_the_only_one(bundle: Bundle, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    for each in (bundle, load_bundle(SHIPPED_BUNDLE)):
        assert engine_places(each, asked) == (asked,)
        assert place_to_build(each, asked) == asked
    asked.write_text("a file: that it cannot be written is the build's to say, and no reason to go elsewhere")
    assert place_to_build(bundle, asked) == asked


@pytest.mark.parametrize(
    ("data_home", "expected"),
    [
        pytest.param("/elsewhere", "/elsewhere/leukostream/engines", id="XDG_DATA_HOME says where"),
        pytest.param("", "/home/user/.local/share/leukostream/engines", id="empty counts as not set"),
        pytest.param(None, "/home/user/.local/share/leukostream/engines", id="not set"),
        pytest.param("data", "/home/user/.local/share/leukostream/engines", id="relative: to be ignored, says XDG"),
    ],
)
def test_the_user_s_directory_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch, data_home: str | None, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data_home is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data_home)
    assert str(place_to_build(load_bundle(SHIPPED_BUNDLE))) == expected


def test_a_user_without_a_home_is_told_to_name_a_place(shelf: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service's user may be. Beside a bundle that cannot be written, the build says why it cannot."""

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    shipped = load_bundle(SHIPPED_BUNDLE)
    assert engine_places(shipped) == (SHIPPED_BUNDLE.parent / "engines",)
    with pytest.raises(EngineError, match="give a place with --engine-dir"):
        place_to_build(shipped)
    (shelf / "engines").write_text("no directory")
    assert place_to_build(bundle) == shelf / "engines"


def test_engines_of_both_places_are_found_and_the_better_one_is_opened(shelf: Path, bundle: Bundle, user_engines: Path) -> None:
    """Of one key, too: the engine that came with the bundle was never compared here, the user's own was."""
    came, own = write_engine(bundle, shelf / "engines", gate="none"), write_engine(bundle, user_engines)
    assert came.path.name == own.path.name
    with not_mine_to_write(shelf / "engines"):
        found = [verdict.folder for verdict in survey(bundle, machine(), WANTED)]
        opened = choose_engine(bundle, machine(), WANTED)
    assert found == [own.path, came.path]
    assert opened == own


def test_engines_of_one_rank_are_taken_from_beside_the_bundle(shelf: Path, bundle: Bundle, user_engines: Path) -> None:
    beside, own = write_engine(bundle, shelf / "engines"), write_engine(bundle, user_engines)
    with not_mine_to_write(shelf / "engines"):
        assert [verdict.folder for verdict in survey(bundle, machine(), WANTED)] == [beside.path, own.path]
    # Where they can be written, nobody looks further.
    assert [verdict.folder for verdict in survey(bundle, machine(), WANTED)] == [beside.path]


def test_places_are_named_for_a_sentence(tmp_path: Path) -> None:
    assert named((Path("/a"),)) == "/a"
    assert named((Path("/a"), Path("/b"))) == "/a or /b"
