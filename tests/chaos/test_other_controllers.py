"""Controllers that are not the project's own, in the same chaos: one of the document alone, and examples/cpp."""

import ast
import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
import zmq
from chaos import letter_controller, letter_notebook, letter_socket
from chaos.accounts import account
from chaos.chaos_plan import KILLS, WhoScans, plan_of
from chaos.processes import JOURNAL, NOTEBOOK
from chaos.scans import Scan, scans
from support.cpp_scanner import built, run
from support.ports import free_endpoint

LETTER_SEEDS = [4, 8, 10, 15, 29, 31]
"""Between them every offer of encodings, keys, each way of the kills, and a relay on either side of the cable. Small ones."""
CPP_SEEDS = [10, 14, 31]
MORE_SEEDS = list(range(2000, 2030))


def _checked(performed: list[Scan]) -> Counter[str]:
    problems = [f"seed {scan.seed} ({scan.folder}): {problem}" for scan in performed for problem in scan.account.problems]
    assert not problems, "\n".join(problems)
    for name in ("lost", "invented", "reordered", "twice", "counted_twice"):
        assert sum(getattr(scan.account, name) for scan in performed) == 0, name
    assert sum(scan.account.interrupted for scan in performed), "an edge was killed in mid-run"
    injected: Counter[str] = sum((scan.injected for scan in performed), Counter())
    for kind in KILLS:
        assert injected[kind], f"no scan of this test had the fault {kind!r}: it would prove nothing about it"
    return injected


@pytest.fixture(scope="module")
def by_the_letter(tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    return list(scans(LETTER_SEEDS, tmp_path_factory.mktemp("letter"), keep=True, controller=lambda seed: "letter"))


@pytest.mark.timeout(240)
def test_who_has_only_the_document_loses_nothing_and_has_no_complaint(by_the_letter: list[Scan]) -> None:
    _checked(by_the_letter)
    plans = [plan_of(scan.seed, "letter") for scan in by_the_letter]
    sent = {command["type"] for scan in by_the_letter for command in _commands(scan)}
    assert sent == {"RUN_START", "TRIGGER", "PAUSE", "CONTINUE", "RUN_STOP"}
    assert any("replaces" in command for scan in by_the_letter for command in _commands(scan))
    assert {True, False} == {plan.keys for plan in plans} and len({plan.encodings for plan in plans}) == 3


def test_it_knows_nothing_of_the_project() -> None:
    """Or it would share the project's own misreadings of the document."""
    for module in (letter_controller, letter_notebook, letter_socket):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name.split(".")[0] in {"edge", "support"}], module.__name__


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda lines: lines.pop(_fields(lines)[3]), "missing or out of order", id="a record that was lost"),
        pytest.param(lambda lines: lines.insert(0, {"complaint": "it said so"}), "it said so", id="a complaint"),
        pytest.param(
            lambda lines: _stop(lines)["carried"]["cells"].update(blast=1), "run_stop carries", id="another sum of runs"
        ),
        pytest.param(
            lambda lines: _stop(lines).update(net=None), "has None as its net sums", id="no sum without what was replaced"
        ),
    ],
)
def test_its_accounts_can_fail(by_the_letter: list[Scan], tmp_path: Path, spoil: Any, says: str) -> None:  # noqa: ANN401
    chosen = next(scan for scan in by_the_letter if all(_stop(_lines(scan))[sums] is not None for sums in ("net", "carried")))
    folder = Path(shutil.copytree(chosen.folder, tmp_path / "spoilt"))
    lines = [json.loads(line) for line in (folder / NOTEBOOK).read_text().splitlines()]
    spoil(lines)
    (folder / NOTEBOOK).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert says in str(account(folder, plan_of(chosen.seed, "letter")).problems)


def _lines(scan: Scan) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (scan.folder / NOTEBOOK).read_text().splitlines()]


def _commands(scan: Scan) -> list[dict[str, Any]]:
    return [line["send"] for line in _lines(scan) if "send" in line]


def _stop(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last run_stop, of a run that continues others."""
    ends = [line["record"] for line in lines if line.get("record", {}).get("type") == "run_stop"]
    return ends[-1]


def _fields(lines: list[dict[str, Any]]) -> list[int]:
    return [at for at, line in enumerate(lines) if line.get("record", {}).get("type") == "field"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("cpp"))


@pytest.mark.timeout(240)
def test_the_scanner_in_cpp_loses_nothing(program: Path, tmp_path: Path) -> None:
    performed = list(scans(CPP_SEEDS, tmp_path, keep=True, controller=lambda seed: "cpp", program=program))
    _checked(performed)
    said = (performed[0].folder / "scanner.log").read_text().splitlines()
    pulses = [line for line in said if line.startswith("pulse ")]
    assert pulses and f"over {performed[0].account.runs} runs: " in said[-1]
    for scan in performed:
        asked = {(c["run_id"], c["trigger_id"]): c["stage"] for c in _commands(scan) if "stage" in c}
        lines = _lines(scan)
        ends = [end for end in (lines[at]["record"] for at in _fields(lines)) if end["stage"] is not None]
        assert all(end["stage"].items() >= asked[end["run_id"], end["trigger_id"]].items() for end in ends)
        assert ends and (scan.folder / JOURNAL).exists()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("controller", ["letter", "cpp"])
def test_many_more_scans(tmp_path: Path, controller: WhoScans) -> None:
    built_here = built(tmp_path / "sanitized", "SANITIZE=1", "CXXFLAGS=-O1 -g") if controller == "cpp" else None
    _checked(list(scans(MORE_SEEDS, tmp_path, controller=lambda seed: controller, program=built_here)))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(("--fields", "many"), 2, "--fields many is no option, or its value cannot be used", id="no number"),
        pytest.param(("--fields", "0"), 2, "there is at least one field", id="no field"),
        pytest.param(("--key", "a"), 2, "--key goes with --edge-key", id="half of the keys"),
        pytest.param(("--key", "/none", "--edge-key", "/none"), 2, "/none holds no public-key", id="no key file"),
        pytest.param(("--search-ms", "200", "--answer-ms", "150"), 6, "no edge answered at tcp://", id="nobody there"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    program: Path, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = run(program, free_endpoint(), tmp_path / "notebook", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert says in done.stderr


@pytest.fixture
def refusing() -> Iterator[tuple["zmq.Socket[bytes]", str]]:
    """An edge's place, in which the test answers."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger, router.rcvtimeo = 500, 10_000
        yield router, f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        pytest.param("busy", 6, id="another controller has the edge"),
        pytest.param("protocol", 6, id="another version"),
        pytest.param("malformed", 9, id="a defect of this program"),
        pytest.param("a_code_of_later", 6, id="a refusal that only its reason explains"),
    ],
)
def test_a_refusal_ends_it_by_its_code(
    program: Path, tmp_path: Path, refusing: tuple["zmq.Socket[bytes]", str], code: str, exit_code: int
) -> None:
    router, endpoint = refusing
    answer = {"type": "REJECT", "code": code, "reason": "because", "proto_supported": 1}
    with Popen([str(program), endpoint, str(tmp_path / "notebook")], stdout=PIPE, stderr=PIPE, text=True) as process:
        while process.poll() is None:
            if router.poll(20):
                client, hello = router.recv_multipart()
                assert json.loads(hello)["type"] == "HELLO" and hello.startswith(b'{"type":')
                router.send_multipart([client, json.dumps(answer).encode()])
        _, said = process.communicate(timeout=20)
    assert process.returncode == exit_code and f"({code}): because" in said


def test_a_notebook_is_of_one_scanner(program: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "notebook"
    notebook.write_text("something else\n")
    done = run(program, free_endpoint(), notebook)
    assert done.returncode == 8 and "is no notebook of this program" in done.stderr
    assert notebook.read_text() == "something else\n"
    with notebook.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run(program, free_endpoint(), notebook)
    assert done.returncode == 8 and "another process writes to" in done.stderr
