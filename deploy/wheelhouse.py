"""Collects every wheel that an installation needs, and installs from them alone, where there is no network.

    python deploy/wheelhouse.py collect wheelhouse [--with calib,builder] [--wheels folder-of-your-own-wheels]
    python wheelhouse/install.py --into /opt/leukostream/venv

Runs with Python and its standard library: on the computer that collects, and as `install.py` inside the wheelhouse on the one
that installs. The wheels are for the Python version, processor and system of the computer that collects; `wheelhouse.json` says
which, and `requirements.txt` holds the SHA-256 of each.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ABOUT, REQUIREMENTS, INSTALLER = "wheelhouse.json", "requirements.txt", "install.py"
OWN = "leukostream"
_PIP = ("-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


class WheelhouseError(Exception):
    """One sentence: what is wrong and what to do."""


def collect(house: Path, extras: str, more: list[Path]) -> None:
    """Fill `house`, new or empty: leukostream with these extras, all that it depends on, and the build backend."""
    if house.exists() and any(house.iterdir()):
        raise WheelhouseError(f"{house} is not empty, and old wheels among new ones would be installed; give a new folder.")
    house.mkdir(parents=True, exist_ok=True)
    own = f"{ROOT}[{extras}]" if extras else str(ROOT)
    constraints = ROOT / "constraints.txt"
    with tempfile.TemporaryDirectory(prefix="wheelhouse-") as made:
        python = _environment(Path(made) / "venv")
        for folder in more:
            for wheel in folder.glob("*.whl"):
                shutil.copyfile(wheel, house / wheel.name)
        source = Path(made) / "source"  # what a build leaves behind is not left in the checkout
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "engines", house.name))
        own = own.replace(str(ROOT), str(source), 1)
        env = {**os.environ, "PIP_CONSTRAINT": str(constraints)}  # of the build backend, too
        _run([python, *_PIP, "wheel", "--wheel-dir", house, "--find-links", house, *_backend(), own], env)
    wheels = sorted(house.glob("*.whl"))
    lines = [f"{_name(wheel)}=={_version(wheel)} --hash=sha256:{_sha256(wheel)}" for wheel in wheels]
    (house / REQUIREMENTS).write_text("\n".join(lines) + "\n")
    about = {"python": _python(), "machine": platform.machine(), "system": platform.system(), "extras": extras}
    (house / ABOUT).write_text(json.dumps(about | {"wheels": [wheel.name for wheel in wheels]}, indent=1) + "\n")
    shutil.copyfile(Path(__file__), house / INSTALLER)
    megabytes = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    print(f"{len(wheels)} wheels, {megabytes:.0f} MB, in {house}, for Python {about['python']} on {about['machine']}")


def install(house: Path, into: Path, source: Path | None = None) -> None:
    """Make the environment `into`, if it is not there, and install all wheels of `house` and nothing else.

    Of leukostream itself the wheel or, with `source`, that checkout, built by the build backend of the wheelhouse.
    """
    wheels = check(house)
    python = _environment(into)
    alone = ["--no-index", "--find-links", house]
    own = [wheel for wheel in wheels if _name(wheel) == OWN]
    with tempfile.TemporaryDirectory(prefix="wheelhouse-") as made:
        wanted = Path(made) / REQUIREMENTS
        lines = (house / REQUIREMENTS).read_text().splitlines()
        wanted.write_text("\n".join(line for line in lines if source is None or not line.startswith(f"{OWN}==")) + "\n")
        # What else could be taken for installed already, or lead elsewhere.
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        _run([python, *_PIP, "install", *alone, "--require-hashes", "--requirement", wanted], env)
        if source is not None:
            _run([python, *_PIP, "install", *alone, "--no-deps", "--force-reinstall", source], env)
    print(
        f"{len(wheels)} wheels installed into {into}" + (f", {OWN} from {source}" if source else f", {own[0].name} among them")
    )


def check(house: Path) -> list[Path]:
    """The wheels, each as it was collected. Raises `WheelhouseError` when one is missing, changed or foreign."""
    try:
        about = json.loads((house / ABOUT).read_text())
        lines = (house / REQUIREMENTS).read_text().splitlines()
    except (OSError, ValueError) as problem:
        raise WheelhouseError(f"{house} is no wheelhouse ({problem}); make one by `make wheelhouse`.") from problem
    here = (_python(), platform.machine(), platform.system())
    there = (about["python"], about["machine"], about["system"])
    if here != there:
        raise WheelhouseError(
            f"{house} was collected for Python {' '.join(there)} and this is Python {' '.join(here)}; collect one on a "
            "computer of this kind, or start this with that Python."
        )
    hashes = {line.partition("sha256:")[2].strip() for line in lines if line.strip()}
    wheels = [house / name for name in about["wheels"]]
    for wheel in wheels:
        if not wheel.is_file():
            raise WheelhouseError(f"{wheel} is missing; copy the whole folder again.")
        if _sha256(wheel) not in hashes:
            raise WheelhouseError(
                f"{wheel} is not what was collected: its SHA-256 is another one; copy the whole folder again."
            )
    if strange := sorted({path.name for path in house.glob("*.whl")} - set(about["wheels"])):
        raise WheelhouseError(f"{house / strange[0]} was not collected with the others; remove it, or collect anew.")
    return wheels


def _backend() -> list[str]:
    """What pyproject.toml names under [build-system], as it stands there."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r"^\[build-system\]\nrequires = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise WheelhouseError("pyproject.toml names no build backend.")
    return re.findall(r'"([^"]+)"', found[1])


def _environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", folder])
    return python


def _run(command: list[object], env: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if "rror" in line] or ["no word"]
        raise WheelhouseError(f"{' '.join(str(word) for word in command[1:4])} has failed ({said[-1].strip()}).")


def _name(wheel: Path) -> str:
    return wheel.name.split("-")[0].lower().replace("_", "-")


def _version(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def _sha256(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def main(words: list[str]) -> int:
    """Exit code 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    collecting = actions.add_parser("collect", help="fill a new folder, with the network")
    collecting.add_argument("house", type=Path)
    collecting.add_argument("--with", dest="extras", default="", help="extras of leukostream, such as calib,builder")
    collecting.add_argument(
        "--wheels", type=Path, action="append", default=[], help="folder of wheels that you built, as PyCUDA's"
    )
    installing = actions.add_parser("install", help="install from a folder alone, without the network")
    installing.add_argument("house", type=Path)
    installing.add_argument("--into", type=Path, required=True, help="environment to make, or to add to")
    installing.add_argument("--source", type=Path, help="install this checkout instead of the wheel of leukostream")
    here = Path(__file__).resolve().parent
    if (here / ABOUT).exists():  # as install.py in a wheelhouse
        words = ["install", str(here), *words]
    given = parser.parse_args(words)
    try:
        if given.action == "collect":
            collect(given.house, given.extras, given.wheels)
        else:
            install(given.house, given.into, given.source)
    except WheelhouseError as problem:
        print(f"error (wheelhouse): {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
