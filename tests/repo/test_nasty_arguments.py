"""Whatever a path leads to, a command ends with one sentence: no traceback, no waiting, no defect."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.forked_commands import Answer, Job, answers_of
from support.nasty_places import PATHS, nasty_folder, opened_again

pytestmark = pytest.mark.timeout(110)

BUNDLE = str(Path(__file__).parents[2] / "edge" / "bundles" / "yolov3-tiny-416-look")
PLACE = "{}"
LINES = [
    "leuko-edge runs list --journal {}",
    "leuko-edge runs verify --journal {}",
    "leuko-edge runs export r --journal journal.sqlite --out {}",
    "leuko-edge runs review r --csv {} --journal journal.sqlite",
    "leuko-edge report r --journal {}",
    "leuko-edge export r --as csv --journal journal.sqlite --out {}",
    "leuko-edge report r --journal journal.sqlite --html {}",
    "leuko-edge keys new {} --out keys",
    "leuko-edge keys new x --out {}",
    "leuko-edge keys allow {} --keys keys",
    "leuko-edge keys revoke x --keys {}",
    "leuko-edge keys list --keys {}",
    "leuko-edge sign new {} --out keys",
    "leuko-edge sign new x --out {}",
    "leuko-edge sign put {} --key x.pem",
    f"leuko-edge sign check {BUNDLE} --signers {PLACE}",
    "leuko-edge record --source folder:{} --um-per-px 0.13 --out recording",
    "leuko-edge record --source video:{} --um-per-px 0.13 --out recording",
    "leuko-edge record --source virtual:seed=1,fields=1 --out {}",
    "leuko-edge count {} --um-per-px 0.13 --out out",
    "leuko-edge count virtual:seed=1,fields=1 --out {}",
    "leuko-edge score {} --um-per-px 0.13 --out out",
    "leuko-edge view {}",
    "leuko-edge view --bind {}",
    "leuko-edge watch {} --timeout-s 0.1",
    "leuko-edge watch tcp://127.0.0.1:9 --timeout-s 0.1 --slide-id {}",
    "leuko-edge watch tcp://127.0.0.1:9 --timeout-s 0.1 --key {}",
    "leuko-edge simulate tcp://127.0.0.1:9 --patience-s 0.1 --notebook {}",
    "leuko-edge replay r --journal {}",
    "leuko-edge scan --target 1 --bundle {}",
    "leuko-edge rollout {} --um-per-px 0.13 --frames .",
    f"leuko-edge rollout {BUNDLE} --um-per-px 0.13 --frames {PLACE}",
    f"leuko-edge rollout {BUNDLE} --run r --journal {PLACE}",
    "leuko-edge cameras {}",
    "leuko-edge doctor {}",
    "leuko-edge run --config {}",
    "leuko-edge run --source virtual:seed=1 --profile {}",
    "leuko-edge run --source virtual:seed=1 --bundle {}",
    "leuko-edge run --source virtual:seed=1 --signers {}",
    "leuko-edge run --source {}",
    "leuko-edge bench-stream --records 1000 --singles 10 --dir {}",
    "leuko-build inspect {}",
    "leuko-build inspect {} --json",
    "leuko-build verify {} --emulation-only",
    "leuko-build serve-repository {} --out repository",
    f"leuko-build serve-repository {BUNDLE} --out {PLACE}",
    "leuko-edge count virtual:seed=1,fields=1 --out out --server {}",
    "leuko-calib pixel-size {} --line-spacing-um 10 --out profile.json",
    "leuko-calib scale-check folder:{} --um-per-px 0.13",
    "leuko-calib focus {} --profile profile.json --out new.json",
    "leuko-calib focus text --profile {} --out new.json",
    "leuko-calib thresholds {} --root . --profile profile.json --out new.json",
    "leuko-calib boxes {} --out boxes.yaml",
]
TRAINER_LINES = [
    "leuko-train data check --data {} --root .",
    "leuko-train data init {}",
    "leuko-train data export --data {} --root . --out labels.jsonl",
    "leuko-train fit --data {} --root . --out out",
    "leuko-train fit --data data.yaml --root . --out out --recipe {}",
    "leuko-train evaluate {} --data data.yaml --root .",
    "leuko-train crossvalidate --data {} --root . --out out",
    "leuko-train export {} --out out",
    "leuko-train report {} --out report",
]
FAST = ["nothing", "bytes that are not UTF-8", "a pipe", "a device without an end", "what one may not look at"]
"""Of these every other command line meets one in `make test`, in turns; in `make soak` every one meets all."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    made = []

    def new(number: int) -> str:
        made.append(nasty_folder(tmp_path / str(number)))
        return str(made[-1])

    yield new
    for one in made:
        opened_again(one)
        shutil.rmtree(one)


def wrong(jobs: list[Job], at_once: int = 2) -> list[str]:
    answers = list(answers_of(jobs, at_once))
    assert len(answers) == len(jobs)
    return [sentence for answer in answers for sentence in complaints(answer)]


def complaints(answer: Answer) -> Iterator[str]:
    for fault in [*answer.faults, *(["it waited"] if answer.waited else [])]:
        yield f"{answer.job.name}: {fault}: {answer.said[-600:]}"
    lines = [line for line in answer.said.splitlines() if line.startswith("error (")]
    if answer.code not in {0, 2} and not lines and len(answer.said) < 3000:
        yield f"{answer.job.name}: no sentence: {answer.said[-600:]}"


def job(line: str, what: str, folder: str) -> Job:
    return Job(tuple(word.replace(PLACE, PATHS[what]) for word in line.split()), folder, 30.0, f"{line} <- {what}")


@pytest.mark.parametrize("lines", [pytest.param(LINES, id="edge, builder, calib"), pytest.param(TRAINER_LINES, id="trainer")])
def test_no_command_is_thrown_by_a_path(lines: list[str], folder: Callable[[int], str]) -> None:
    assert wrong([job(line, FAST[at % len(FAST)], folder(at)) for at, line in enumerate(lines[::2])]) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("line", [*LINES, *TRAINER_LINES])
def test_no_command_is_thrown_by_any_path(line: str, folder: Callable[[int], str]) -> None:
    assert wrong([job(line, what, folder(at)) for at, what in enumerate(PATHS)]) == []
