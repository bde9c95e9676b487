"""The systemd unit is one that systemd takes, and says of the service what the service does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.service.heartbeat import OPENING_S
from edge.settings import EdgeSettings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "leukostream@.service"
pytestmark = pytest.mark.timeout(60)


def value_of(name: str) -> str:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)[-1]


def test_systemd_takes_it(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "leukostream@camera.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


def test_it_waits_for_what_the_service_does() -> None:
    assert value_of("Type") == "notify" and value_of("Restart") == "always"
    own_s = EdgeSettings(source="x").watchdog_s
    assert int(value_of("WatchdogSec")) == 1.5 * own_s, "the process ends itself first, and says where it was stuck"
    assert int(value_of("TimeoutStartSec")) > OPENING_S
    assert value_of("RestartPreventExitStatus") == "2" and int(value_of("StartLimitBurst")) > 0
