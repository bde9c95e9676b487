"""The manifests of examples/cluster: the commands in them, run as Slurm and Kubernetes would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.scoring_archive import Tables
from support.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).parents[3]
SLURM = ROOT / "examples" / "cluster" / "score.slurm"
KUBERNETES = ROOT / "examples" / "cluster" / "score-job.yaml"


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which `leuko-edge` is this one, and `scontrol` writes down what it was told."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, does in (
        ("leuko-edge", f'exec "{sys.executable}" -m edge.cli "$@"'),
        ("scontrol", f'echo "$@" >>{tmp_path}/told'),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def slurm(programs: dict[str, str], index: int, *words: str, restarts: int = 0) -> int:
    slurm = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_JOB_ID": "77", "SLURM_RESTART_COUNT": str(restarts)}
    return subprocess.run([str(SLURM), *words], env={**programs, **slurm}, check=False, timeout=100).returncode


def test_a_task_of_slurm_scores_its_shard(archive: Path, tables: Tables, tmp_path: Path, programs: dict[str, str]) -> None:
    words = [
        str(archive),
        str(tmp_path / "out"),
        "--um-per-px",
        "0.13",
        "--bundle",
        str(write_tiny_bundle(tmp_path / "tiny").path),
    ]
    assert slurm(programs, 1, *words) == 0
    assert [row["slide_id"] for row in tables()["slides"]] == ["s2"], "the second of 32 shards"
    said = SLURM.read_text()
    assert re.findall(r"--array=0-(\d+)|^shards=(\d+)", said, re.M) == [("31", ""), ("", "32")], "they say the same"


def test_a_task_of_slurm_is_put_elsewhere_only_when_that_may_help(tmp_path: Path, programs: dict[str, str]) -> None:
    for code, restarts, told in ((0, 0, False), (4, 0, False), (2, 0, False), (5, 0, True), (9, 2, True), (5, 3, False)):
        (tmp_path / "told").unlink(missing_ok=True)
        (tmp_path / "programs" / "leuko-edge").write_text(f"#!/bin/sh\nexit {code}\n")
        assert slurm(programs, 5, "slides", "out", restarts=restarts) == code
        assert (tmp_path / "told").exists() == told
    (tmp_path / "programs" / "leuko-edge").write_text("#!/bin/sh\nexit 5\n")
    slurm(programs, 5, "slides", "out")
    assert (tmp_path / "told").read_text() == "requeue 77_5\n"


def test_an_indexed_job_runs_the_shard_of_its_index(
    archive: Path, tables: Tables, tmp_path: Path, programs: dict[str, str]
) -> None:
    job: dict[str, Any] = yaml.safe_load(KUBERNETES.read_text())
    (pod,) = job["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in pod["env"]}
    assert (job["spec"]["completionMode"], str(job["spec"]["completions"])) == ("Indexed", given["SHARDS"])
    here = {"SLIDES": str(archive), "OUT": str(tmp_path / "out"), "JOB_COMPLETION_INDEX": "2"}
    shell, flag, line = pod["command"]
    line += f" --bundle {write_tiny_bundle(tmp_path / 'tiny').path}"
    subprocess.run([shell, flag, line], env={**programs, **given, **here}, check=True, timeout=100)
    assert [row["slide_id"] for row in tables()["slides"]] == ["s10"]


def test_an_indexed_job_tries_again_what_may_do_then() -> None:
    rules = yaml.safe_load(KUBERNETES.read_text())["spec"]["podFailurePolicy"]["rules"]
    by_code = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])}
    assert by_code == {2: "FailJob", 3: "FailJob", 11: "FailJob", 4: "FailIndex"}
    assert rules[0] == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
