"""Settings from the environment, as containers and service managers give them: LEUKO_EDGE_ and the setting's name.

A part of a setting stands behind two underscores: LEUKO_EDGE_THRESHOLDS__DETECT.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from edge.contracts.errors import ConfigError
from edge.settings.edge_settings import NAMED, PARTED, EdgeSettings
from edge.settings.known_names import refuse_unknown

PREFIX = "LEUKO_EDGE_"


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment states, by setting, as text: what it is to be is read from it when the settings are checked.

    Raises `ConfigError` for a name behind the prefix that is no setting, and for one without a value.
    """
    stated = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    words = {name: name.removeprefix(PREFIX).lower() for name in stated}
    where = "the environment"
    refuse_unknown((word.partition("__")[0] for word in words.values()), EdgeSettings.model_fields, where, variable_of)
    found: dict[str, Any] = {}
    for name, value in stated.items():
        setting, parted, part = words[name].partition("__")
        if not value:
            raise ConfigError(f"{name} in {where} is empty; give it a value, or unset it.")
        if bool(part) != (setting in PARTED or setting in NAMED):
            raise ConfigError(f"{name} in {where} states {_how(setting)}.")
        if not parted:
            found[setting] = value
            continue
        if setting in PARTED:
            refuse_unknown([part], PARTED[setting].model_fields, where, partial(variable_of, setting))
        found.setdefault(setting, {})[part] = value
    return found


def variable_of(setting: str, part: str | None = None) -> str:
    """The variable that states it."""
    return f"{PREFIX}{setting.upper()}" + (f"__{part.upper()}" if part else "")


def _how(setting: str) -> str:
    if setting in PARTED:
        return f"no single value; state its parts, as {variable_of(setting, next(iter(PARTED[setting].model_fields)))}"
    if setting in NAMED:
        return f"no single value; state each by its name, as {variable_of(setting, 'name')}"
    return f"a part of what is a single value; write {variable_of(setting)}"
