"""`leuko-build engine`: it builds, says so, finds what is there, and puts it where the edge looks."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.rtx_builds import COMMAND, NEEDS_RTX, contents, engine_arguments
from support.tiny_bundle import write_tiny_bundle

from builder.cli import main
from edge.cli import main as edge_main
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import ENGINE_MANIFEST

pytestmark = NEEDS_RTX


@pytest.mark.usefixtures("built_once")
def test_a_bundle_that_lies_where_nothing_can_be_written_has_its_engines_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the directory would have to be, which stops root, too."""
    bundle = write_tiny_bundle(tmp_path / "shelf" / "small")
    (tmp_path / "shelf" / "engines").write_text("no directory")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user_engines = tmp_path / "data" / "leukostream" / "engines"
    asked = ["engine", str(bundle.path), "--runtime", "tensorrt_rtx", "--target", "SM86", "--json"]
    before = contents(tmp_path / "shelf")

    def said(command: Callable[[], None], *arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["leuko", *arguments])
        with pytest.raises(SystemExit) as ended:
            command()
        assert ended.value.code in {0, None}
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    first = said(main, *asked)
    assert (Path(first["directory"]).parent, first["reused"]) == (user_engines, False)
    again = said(main, *asked)
    assert (again["directory"], again["reused"]) == (first["directory"], True)
    (listed,) = said(main, "inspect", str(bundle.path), "--json")["engines"]
    assert listed["directory"] == first["directory"]
    diagnosis = said(edge_main, "doctor", str(bundle.path), "--json")
    assert [each["directory"] for each in diagnosis["engines"]] == [first["directory"]]
    assert (
        diagnosis["facts"]["engines in"]["text"]
        == f"{tmp_path / 'shelf' / 'engines'}, then {user_engines}, into which they are built"
    )
    assert contents(tmp_path / "shelf") == before


def test_the_command_builds_says_so_and_finds_it_again(
    shipped: Bundle, one_field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = engine_arguments(
        shipped, tmp_path / "engines", "--max-batch", "2", "--images", str(one_field), "--um-per-px", "0.13"
    )
    first = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (first.returncode, "all 20 convolutions" in first.stdout) == (0, True), first.stderr

    def once_more(*more: str) -> tuple[int, str, str]:
        """In this process: to import the command takes longer than what it has to do here."""
        monkeypatch.setattr(sys, "argv", ["leuko-build", *arguments, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    code, out, _ = once_more("--json")
    assert (code, json.loads(out)["reused"]) == (0, True)
    assert len(list((tmp_path / "engines").glob(f"*/{ENGINE_MANIFEST}"))) == 1
    code, _, err = once_more("--frame", "732")
    assert (code, err.count("\n")) == (2, 1)
    assert "--frame 732 is no size" in err
