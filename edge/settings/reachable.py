"""Where a service is reached although something is wrong with its settings: by those of them that can be used."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.contracts.errors import ConfigError
from edge.settings.config_file import config_content
from edge.settings.edge_settings import EdgeSettings
from edge.settings.environment import from_environment

_UNKNOWN_SOURCE = "unknown:"


def reachable(
    command_line: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] | None = None
) -> EdgeSettings:
    """Every setting that can be used by itself, the others at their defaults. What is wrong, `resolve` says."""
    layers: list[Mapping[Any, Any]] = []
    with suppress(ConfigError):
        layers.append(config_content(file) if file is not None else {})
    with suppress(ConfigError):
        layers.append(from_environment(environment or {}))
    usable: dict[str, Any] = {"source": _UNKNOWN_SOURCE}
    for name, value in (pair for layer in (*layers, command_line) for pair in layer.items()):
        try:
            EdgeSettings.model_validate({"source": _UNKNOWN_SOURCE, name: value})
        except (ValidationError, ConfigError, TypeError):
            continue
        usable[name] = value
    return EdgeSettings.model_validate(usable)
