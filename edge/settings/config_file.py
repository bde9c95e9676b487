"""The configuration file: TOML by its name, else YAML as it always was, every key a known setting."""

import re
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError
from edge.contracts.version import VERSION
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.files import parse_toml, parse_yaml
from edge.settings.edge_settings import NAMED, PARTED, EdgeSettings
from edge.settings.known_names import refuse_unknown

WRITTEN_FOR = "written_for"
"""The one key of a file that is no setting: the version of leukostream whose settings it holds."""


def read_config(file: Path) -> dict[str, Any]:
    """What a file states, by setting.

    Raises `ConfigError` for one that cannot be read, holds what is no setting, or was written for a newer version.
    """
    content, where = config_content(file), f"configuration {file}"
    refuse_newer(content.pop(WRITTEN_FOR, None), where)
    return known(content, where)


def config_content(file: Path) -> dict[str, Any]:
    """What a file holds, whether or not it can be used. Raises `ConfigError` for one that cannot be read."""
    where = f"configuration {file}"
    try:
        text = read_whole(file, SMALL_BYTES).decode("utf-8-sig")
    except OSError as problem:
        raise ConfigError(f"{where} cannot be read ({problem.strerror}); check the path given to --config.") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{where} is not UTF-8 at byte {problem.start}; save it as UTF-8.") from problem
    content = parse_toml(text, where, ConfigError) if is_toml(file) else parse_yaml(text, where, ConfigError)
    if content is None:
        return {}
    if not isinstance(content, dict):
        hint = "" if "=" not in text else "; a file of `setting = value` lines is TOML, and its name ends in .toml"
        raise ConfigError(f"{where} must hold `setting: value` lines, not a {type(content).__name__}{hint}.")
    return content


def is_toml(file: Path) -> bool:
    """Whether a file of this name is read as TOML."""
    return file.suffix.lower() == ".toml"


def known(layer: dict[str, Any], where: str) -> dict[str, Any]:
    """`layer` itself. Raises `ConfigError` for a key that is no setting."""
    refuse_unknown(layer, EdgeSettings.model_fields, where)
    for name, model in PARTED.items():
        if isinstance(parts := layer.get(name), dict):
            _refuse_below_a_heading(name, parts, where)
            refuse_unknown(parts, model.model_fields, f"`{name}` of {where}")
            if not parts:  # a heading with nothing below it states nothing
                del layer[name]
    for name in NAMED:
        if isinstance(names := layer.get(name), dict):
            _refuse_settings_as_names(name, names, where)
            if not names:
                del layer[name]
    return layer


def refuse_newer(written_for: object, where: str, here: str = VERSION) -> None:
    """Raises `ConfigError` when that is a later version than `here`, or none; nothing is said where it is not stated."""
    if written_for is None:
        return
    theirs, ours = _numbers(str(written_for)), _numbers(here)
    if theirs is None:
        raise ConfigError(
            f"`{WRITTEN_FOR}` in {where} must be a version such as {here!r}, not {written_for!r}; correct it, or strike it."
        )
    if ours is not None and here != "0+not-installed" and theirs > ours:
        raise ConfigError(
            f"{where} was written for leukostream {written_for} and this is {here}, which may not mean the same by a setting; "
            f"install that version, or look through the file and set `{WRITTEN_FOR}` to {here!r}."
        )


def _refuse_below_a_heading(name: str, parts: dict[Any, Any], where: str) -> None:
    """In TOML all that follows [thresholds] is part of it, which whoever adds a line at the end of the file may not know."""
    for key in parts:
        if key in EdgeSettings.model_fields and key not in PARTED[name].model_fields:
            raise ConfigError(
                f"`{key}` in {where} stands within `{name}` and is none of them; move it above the line [{name}]."
            )


def _refuse_settings_as_names(name: str, names: dict[Any, Any], where: str) -> None:
    """The same where the user gives the names: one that is a setting's was in all probability meant as that."""
    for key in names:
        if key in EdgeSettings.model_fields:
            raise ConfigError(
                f"`{key}` in {where} stands within `{name}` and is the name of a setting; move it above the line [{name}], or "
                "choose another name."
            )


def _numbers(version: str) -> tuple[int, ...] | None:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else None
