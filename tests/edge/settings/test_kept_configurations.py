"""Configurations as earlier versions knew them, kept as files that state every setting: each still means what it meant."""

from pathlib import Path
from typing import Any

import pytest

from edge.contracts.errors import ConfigError
from edge.files import parse_toml, parse_yaml
from edge.settings import EdgeSettings
from edge.settings.config_file import read_config

pytestmark = pytest.mark.timeout(20)
KEPT = Path(__file__).parent / "kept"


@pytest.mark.parametrize("name", ["first.yaml", "0.1.0.toml"])
def test_every_setting_of_an_earlier_version_means_what_it_meant(name: str) -> None:
    content = (KEPT / name).read_text(encoding="utf-8")
    stated: Any = (parse_yaml if name.endswith(".yaml") else parse_toml)(content, name, ConfigError)
    settings = EdgeSettings.model_validate(read_config(KEPT / name)).model_dump(mode="json", exclude_unset=True)
    assert settings == {key: value for key, value in stated.items() if key != "written_for"}
    defaults = EdgeSettings(source="virtual:seed=1").model_dump(mode="json")
    assert [key for key, value in settings.items() if value == defaults[key]] == [], "a default would prove nothing"
