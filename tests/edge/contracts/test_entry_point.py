"""What every error of every command becomes: one sentence and an exit code; and what printing does where it cannot."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.contracts.user_paths import expanded_words

pytestmark = pytest.mark.timeout(60)
ROOMS = ("edge", "builder", "calib")


def run(body: str, tmp_path: Path, **more: object) -> "subprocess.CompletedProcess[str]":
    """A command that does `body`, with its output in a pipe unless `stdout` says otherwise."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = "import errno, json, logging, os, signal, sys\nfrom pathlib import Path\n"
    imports = "from edge.contracts.entry_point import run_command_line\nfrom edge.contracts.errors import JournalError\n"
    script = f"{head}{imports}def command():\n{lines}run_command_line(command)"
    given = {
        "cwd": tmp_path,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": os.environ | {"TMPDIR": str(tmp_path)},
    } | more
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", script], text=True, check=False, **given
    )


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        pytest.param("print('well')", 0, "", id="nothing"),
        pytest.param("sys.exit(3)", 3, "", id="an exit code of its own"),
        pytest.param("raise JournalError('it is wet; dry it.')", 8, "error (journal): it is wet; dry it.", id="known"),
        pytest.param("open('/nowhere/at/all')", 9, "(system): /nowhere/at/all cannot be used (No such", id="no such path"),
        pytest.param("os.mkdir('/proc/x')", 9, "error (system): /proc/x cannot be used (", id="not to be written"),
        pytest.param("Path('a' * 300).write_text('')", 9, "give a shorter path", id="too long"),
        pytest.param("os.rename('/nowhere', '/nor/here')", 9, "/nowhere and /nor/here cannot be used", id="two paths"),
        pytest.param("raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))", 9, "No space left on device); free", id="full"),
        pytest.param("raise OSError('odd')", 9, "the system refuses (odd)", id="an OSError of a library"),
        pytest.param("raise MemoryError", 9, "not enough memory", id="no memory"),
        pytest.param("raise KeyboardInterrupt", 130, "", id="Ctrl-C"),
        pytest.param(
            "open('a\\0b')",
            1,
            "error (defect): this command has failed by a defect (ValueError",
            id="ValueError",
        ),
        pytest.param("'\\udce4'.encode()", 1, "(UnicodeEncodeError: ", id="UnicodeEncodeError"),
        pytest.param("b'\\xe4'.decode()", 1, "(UnicodeDecodeError: ", id="UnicodeDecodeError"),
        pytest.param(
            "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); os.getcwd()",
            9,
            "is no longer there; change",
            id="no place",
        ),
        pytest.param("Path('/nowhere/\\udce4').open()", 9, "/nowhere/\\udce4 cannot be used", id="a name that is not UTF-8"),
    ],
)
def test_each_error_is_one_sentence_and_an_exit_code(tmp_path: Path, body: str, code: int, says: str) -> None:
    done = run(body, tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == bool(says) and says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        pytest.param("raise EOFError('cut off')", 1, "a defect (EOFError: cut off)", id="the end of a pipe that was read"),
        pytest.param("raise BrokenPipeError(32, 'Broken pipe')", 9, "the system refuses (Broken pipe)", id="no reader left"),
        pytest.param("raise SystemExit(4)", 4, "", id="an exit code of its own"),
    ],
)
def test_the_parser_of_command_lines_ends_nothing_without_a_sentence(tmp_path: Path, body: str, code: int, says: str) -> None:
    """Left alone, it says "Aborted." of the first and nothing at all of the second."""
    done = run(f"import typer\napp = typer.Typer()\n@app.command()\ndef go(): {body}\nsys.argv = ['x']\napp()", tmp_path)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_a_defect_leaves_its_traceback_where_the_sentence_says(tmp_path: Path) -> None:
    done = run("raise ValueError('odd')", tmp_path)
    (file,) = re.findall(r"report it with (\S+), which has the traceback", done.stderr)
    assert "ValueError: odd" in Path(file).read_text()


def test_with_a_log_file_the_traceback_is_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run(f"logging.basicConfig(level='INFO', filename={str(log)!r}); raise PermissionError(13, 'no', 'x')", tmp_path)
    assert f"(the traceback is in {log})" in done.stderr
    assert "PermissionError" in log.read_text()


PRINTS = pytest.mark.parametrize(
    "body",
    [
        pytest.param("print('x' * 100)", id="print"),
        pytest.param("print('x' * 10**6)", id="more than a buffer"),
        pytest.param("sys.stdout.buffer.write(b'x' * 100)", id="bytes"),
        pytest.param("print('x', flush=True)", id="flushed"),
        pytest.param("from rich.console import Console; Console().print('x')", id="rich"),
        pytest.param("import typer; typer.echo('x')", id="typer"),
        pytest.param("print('x'); raise JournalError('the journal is wet.')", id="before an error"),
    ],
)


@PRINTS
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_what_is_printed_is_an_error(tmp_path: Path, body: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(body, tmp_path, stdout=full)
    if "wet" in body:
        assert (done.returncode, done.stderr) == (8, "error (journal): the journal is wet.\n")
        return
    assert done.returncode == 9
    assert done.stderr.startswith("error (output): standard output cannot be written (No space left on device)")
    assert done.stderr.count("\n") == 1


@PRINTS
def test_a_closed_pipe_ends_the_command_quietly(tmp_path: Path, body: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(body, tmp_path, stdout=writing)
    os.close(writing)
    assert done.returncode == (8 if "wet" in body else 141)
    assert done.stderr == ("error (journal): the journal is wet.\n" if "wet" in body else "")


def test_output_that_was_closed_is_no_place_to_print_to(tmp_path: Path) -> None:
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c"]
    head = "from edge.contracts.entry_point import run_command_line as run; "
    done = subprocess.run([*shell, f"{head}run(lambda: print('x'))"], capture_output=True, text=True, check=False)
    assert (done.returncode, "standard output cannot be written" in done.stderr) == (9, True)
    quiet = subprocess.run([*shell, f"{head}run(lambda: open({str(tmp_path / 'file')!r}, 'w').write('y'))"], check=False)
    assert (quiet.returncode, (tmp_path / "file").read_text()) == (0, "y")


def test_nobody_need_listen_to_remarks(tmp_path: Path) -> None:
    """A terminal that was closed ends neither a run nor a training."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run("for _ in range(3): print('remark', file=sys.stderr)\nprint('result')", tmp_path, stderr=writing)
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, "result\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_locale_lacks_letters(tmp_path: Path, encoding: str) -> None:
    more = {"env": os.environ | {"PYTHONIOENCODING": encoding}, "encoding": encoding}
    body = "print(json.dumps({'µ': 'präp 視 \U0001f52c \\udce4'}, ensure_ascii=False)); print('é', file=sys.stderr)"
    done = run(body, tmp_path, **more)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"µ": "präp 視 \U0001f52c \udce4"}


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        ("--out=~/frames", "--out=HOME/frames"),
        ("~/frames", "HOME/frames"),
        ("~", "HOME"),
        ("--out=~", "--out=HOME"),
        ("--source=folder:~/x", "--source=folder:~/x"),
        ("~slide", "~slide"),
        ("--slide-id=~7", "--slide-id=~7"),
        ("a~/b", "a~/b"),
        ("phases.0=~/x", "phases.0=~/x"),
        ("~nobody-has-this-name/x", "~nobody-has-this-name/x"),
    ],
)
def test_a_tilde_that_the_shell_left_is_expanded(word: str, becomes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert expanded_words([word]) == [becomes.replace("HOME", "/home/somebody")]


def test_a_user_without_a_home_is_told_so() -> None:
    nobody = "import os\nos.environ.pop('HOME', None)\nimport pwd\ndef none(_): raise KeyError\npwd.getpwuid = none\n"
    script = nobody + "from edge.cli import main\nimport sys\nsys.argv = ['leuko-edge', 'runs', 'list']\nmain()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "this user has no home directory; write the whole path" in done.stderr


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_every_room_ends_so(room: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"from {room}.cli import main; main()", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (9, 1), done.stderr
