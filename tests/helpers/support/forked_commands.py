"""Many command lines in few processes: what a room imports is imported once, and each command runs in a copy of that process.

Started as a program it reads one job a line and answers one line each; `answers_of` is the other side.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

ROOMS = {"leuko-edge": "edge", "leuko-train": "trainer", "leuko-build": "builder", "leuko-calib": "calib"}
_COMMANDS = {room: Path(__file__).parents[3] / room / "commands" for room in ROOMS.values()}


@dataclass(frozen=True, slots=True)
class Job:
    """A command line, and where it runs. Words may hold what is not UTF-8, as Python keeps it in a string."""

    words: tuple[str, ...]
    folder: str
    patience_s: float = 20.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it. `code` is below zero when a signal ended it."""

    job: Job
    code: int
    said: str
    waited: bool = False
    """It was still there after its patience and was ended by SIGTERM."""
    stuck: bool = False
    """Even SIGTERM did not end it."""
    faults: list[str] = field(default_factory=list)


def answers_of(jobs: Iterable[Job], at_once: int = 2) -> Iterator[Answer]:
    """Run all jobs; the answers in the order in which they come.

    Permissions bind them as they bind any user, where root can give its own privilege up.
    """
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 and which("setpriv") else []
    given = "".join(json.dumps(asdict(job)) + "\n" for job in jobs)
    words = [*bound, sys.executable, "-m", "support.forked_commands", str(at_once)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(given)
        server.stdin.close()
        for line in server.stdout:
            got = json.loads(line)
            got["job"] = Job(**got["job"] | {"words": tuple(got["job"]["words"])})
            answer = Answer(**got)
            answer.faults.extend(faults_of(answer))
            yield answer
    assert server.returncode == 0


def faults_of(answer: Answer) -> Iterator[str]:
    """What no command may do, whatever it is given."""
    if answer.stuck:
        yield "it hangs, and SIGTERM does not end it"
    if "Traceback" in answer.said:
        yield "a traceback"
    if "by a defect" in answer.said:
        yield "a defect"
    if answer.code in {1, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGKILL}:
        yield f"exit code {answer.code}"
    if answer.code not in {0, 141} and not answer.waited and not answer.said.strip():
        yield f"exit code {answer.code} without a word"


def _serve(at_once: int) -> None:
    jobs = [Job(**json.loads(line) | {"words": tuple(json.loads(line)["words"])}) for line in sys.stdin]
    for room in sorted({ROOMS[job.words[0]] for job in jobs}):
        importlib.import_module(f"{room}.cli")
        for path in sorted(_COMMANDS[room].glob("*.py")):
            importlib.import_module(f"{room}.commands.{path.stem}")
        importlib.import_module(f"{room}.command_list")
    running: dict[int, tuple[Job, float, str, bool]] = {}
    waiting = list(reversed(jobs))
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop()
            said = f"{job.folder}/.said"
            pid = os.fork()
            if not pid:
                _become(job, said)
            running[pid] = (job, time.monotonic() + job.patience_s, said, False)
        _look_at(running)
        time.sleep(0.01)


def _look_at(running: dict[int, tuple[Job, float, str, bool]]) -> None:
    for pid, (job, until, said, asked) in list(running.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        late = time.monotonic() > until
        if not done and late and not asked:
            os.kill(pid, signal.SIGTERM)
            running[pid] = (job, until + job.patience_s, said, True)
        elif done or late:
            if not done:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            del running[pid]
            text = Path(said).read_bytes().decode(errors="replace")[-4000:]
            code = os.waitstatus_to_exitcode(status) if done else -signal.SIGKILL
            answer: dict[str, Any] = {"job": asdict(job), "code": code, "said": text, "waited": asked, "stuck": not done}
            print(json.dumps(answer), flush=True)


def _become(job: Job, said: str) -> None:
    """This copy is the command from here on."""
    code: object = 99
    try:
        os.setpgid(0, 0)
        os.chdir(job.folder)
        out = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(descriptor, number)
        os.environ["HOME"] = job.folder
        sys.argv = list(job.words)
        importlib.import_module(f"{ROOMS[job.words[0]]}.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 what comes through is the finding
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
