"""Installing where there is no network: only what was collected, as it was collected, and nothing from anywhere else."""

import base64
import hashlib
import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(120)


def wheel_of(folder: Path, name: str, version: str = "1.0") -> Path:
    """A wheel with one module that says its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text)}")
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (*files.items(), (f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")):
            archive.writestr(path, text)
    return wheel


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """As `collect` leaves one, of two wheels that are made here."""
    house = tmp_path / "house"
    house.mkdir()
    wheels = [wheel_of(house, "leukostream"), wheel_of(house, "helper")]
    hashes = {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    lines = [f"{name.split('-')[0]}==1.0 --hash=sha256:{sha256}" for name, sha256 in hashes.items()]
    (house / "requirements.txt").write_text("\n".join(lines) + "\n")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    about = {"python": version, "machine": platform.machine(), "system": platform.system(), "extras": ""}
    (house / "wheelhouse.json").write_text(json.dumps(about | {"wheels": list(hashes)}))
    (house / "install.py").write_bytes((ROOT / "deploy" / "wheelhouse.py").read_bytes())
    return house


def python(*words: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept | environment)


def test_a_wheelhouse_installs_itself(house: Path, tmp_path: Path) -> None:
    into = tmp_path / "venv"
    done = python(
        house / "install.py", "--into", into, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_EXTRA_INDEX_URL="http://127.0.0.1:9/"
    )
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [into / "bin" / "python", "-c", "import leukostream, helper; print(leukostream.VERSION, helper.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["1.0", "1.0"]


def _change(house: Path) -> None:
    wheel_of(house, "helper", "1.0").open("ab").write(b"x")


def _remove(house: Path) -> None:
    (house / "helper-1.0-py3-none-any.whl").unlink()


def _foreign(house: Path) -> None:
    about = json.loads((house / "wheelhouse.json").read_text())
    (house / "wheelhouse.json").write_text(json.dumps(about | {"python": "3.9"}))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_change, "is not what was collected", id="a wheel that was changed"),
        pytest.param(_remove, "is missing; copy", id="one that is missing"),
        pytest.param(lambda house: wheel_of(house, "other"), "was not collected with the others", id="one that was added"),
        pytest.param(_foreign, "was collected for Python 3.9", id="of another Python"),
        pytest.param(lambda house: (house / "requirements.txt").unlink(), "is no wheelhouse", id="without its hashes"),
        pytest.param(lambda house: (house / "wheelhouse.json").write_text("{"), "is no wheelhouse", id="half copied"),
    ],
)
def test_what_is_not_as_it_was_collected_is_not_installed(
    spoil: Callable[[Path], object], says: str, house: Path, tmp_path: Path
) -> None:
    spoil(house)
    done = python(ROOT / "deploy" / "wheelhouse.py", "install", house, "--into", tmp_path / "venv")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert says in done.stderr
    assert not (tmp_path / "venv").exists()


def test_old_wheels_are_not_mixed_with_new_ones(house: Path) -> None:
    done = python(ROOT / "deploy" / "wheelhouse.py", "collect", house)
    assert done.returncode == 1 and "is not empty" in done.stderr


def _without_network(command: str) -> "subprocess.CompletedProcess[str]":
    alone = ["unshare", "--net", "bash", "-c", f"ip link set lo up && {command}"]
    return subprocess.run(alone, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_collected_with_the_network_and_installed_and_run_without_it(tmp_path: Path) -> None:
    if _without_network("true").returncode != 0:
        pytest.skip("this user cannot cut its own network off (unshare --net)")
    house = tmp_path / "house"
    make = ["make", "--no-print-directory", f"PYTHON={sys.executable}", f"WHEELHOUSE={house}"]
    collected = subprocess.run([*make, "wheelhouse"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout + collected.stderr
    reached = _without_network(f"{sys.executable} -m pip download --no-deps --dest {tmp_path} mdurl")
    assert reached.returncode != 0, "the network is not cut off, so that this test would show nothing"
    by_make, by_itself = tmp_path / "by-make", tmp_path / "by-itself"
    for install, into in (
        (f"{' '.join(make)} INTO={by_make} install", by_make),
        (f"{sys.executable} {house}/install.py --into {by_itself}", by_itself),
    ):
        installed = _without_network(install)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        run = _without_network(f"cd {tmp_path} && HOME={tmp_path} PYTHONPATH= {into}/bin/leuko-edge demo --fields 3 --json")
        assert run.returncode == 0 and '"type":"run_stop"' in run.stdout, run.stdout[-500:] + run.stderr[-2000:]
