"""The key `options` of a recipe, which every architecture reads with a model of its own."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from edge.contracts.base import Strict, explain
from edge.contracts.errors import ConfigError

Options = TypeVar("Options", bound=Strict)


def validated(kind: type[Options], options: Mapping[str, object]) -> Options:
    """`options` as a `kind`. Raises `ConfigError` for an unknown key or a value out of range."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as problem:
        raise ConfigError(f"`options` cannot be used: {explain(problem)}; correct the recipe.") from problem
