"""Layers of settings, the lower first, and which of them each value in effect comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.settings.edge_settings import Origin
from edge.settings.environment import variable_of

DEFAULT = Origin("default")


@dataclass(slots=True)
class Layers:
    """What was put so far. Settings that hold values by name (`thresholds`, `order`) are merged name by name.

    `origins` has each setting under its name, and each name of such a setting as `thresholds.detect`.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def put(self, origin: Origin, layer: Mapping[str, Any]) -> None:
        """Lay `layer` over what is there."""
        for name, value in layer.items():
            below = self.values.get(name)
            if isinstance(value, Mapping):
                self.values[name] = {**(below if isinstance(below, Mapping) else {}), **value}
                for part in value:
                    self.origins[f"{name}.{part}"] = _of(origin, name, str(part))
            else:
                self.values[name] = value
                self.origins = {key: each for key, each in self.origins.items() if not key.startswith(f"{name}.")}
                self.origins[name] = _of(origin, name)

    def under(self, upper: "Layers") -> "Layers":
        """All of these with those of `upper` over them."""
        both = Layers(dict(self.values), dict(self.origins))
        for name, value in upper.values.items():
            both.put(DEFAULT, {name: value})
        both.origins.update(upper.origins)
        return both

    def origin_of(self, path: Sequence[str]) -> Origin | None:
        """Of the value at this path of names, or of what it is a part of; None for what was not stated."""
        for length in range(len(path), 0, -1):
            if (found := self.origins.get(".".join(path[:length]))) is not None:
                return found
        return None


def _of(origin: Origin, name: str, part: str | None = None) -> Origin:
    return Origin("environment", variable_of(name, part)) if origin.kind == "environment" else origin
