"""Options of a command, made from the model that states the settings: name, type, description, default and panel.

A command that takes settings gets those that were stated on the command line, under the names the model has:

    @takes(EdgeSettings, "source", "bundle")
    def command(given: Given, ...) -> None:
        setup = resolve(given)

A setting that was not stated is not among them: configuration file, profile, bundle and the model's own default come after.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, Optional, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge.contracts.choices import LogLevel
from edge.settings.edge_settings import RUN, SHIPPED_BUNDLE, Panel, panel_of

Given = dict[str, Any]
"""Settings by name, as far as they were stated on the command line."""

REQUIRED = inspect.Parameter.empty
"""As the default of a setting: a command cannot do without it, where a run may have it from a file."""

SERVER_SETTINGS = ("server", "server_deadline_ms", "server_fallback", "server_ca")
ENGINE_SETTINGS = (
    "bundle",
    "engine",
    "engine_dir",
    "allow_ungated_engine",
    "precision",
    "threads",
    "hint",
    "max_batch",
    *SERVER_SETTINGS,
)
"""Those of a command that opens an engine and needs no controller."""

ConfigOption = Annotated[
    Path | None, typer.Option(help="file of the same settings: TOML (*.toml), or YAML", rich_help_panel=RUN.heading)
]
LogLevelOption = Annotated[LogLevel, typer.Option(help="what is told on standard error")]


class _Option(NamedTuple):
    """One option: the parameter of the command, the setting it states, and which part of it unless the whole."""

    parameter: inspect.Parameter
    setting: str
    part: str | None = None


def takes(model: type[BaseModel], *names: str, **defaults: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these settings of `model`; without names, of all that have a panel.

    The command's first parameter is `given`. `defaults` are those by which it differs from the model, or `REQUIRED`.
    """
    chosen = names or tuple(name for name, field in model.model_fields.items() if panel_of(field) is not None)
    options = [option for name in chosen for option in _options(name, model.model_fields[name], defaults.get(name))]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()

        @functools.wraps(command)
        def with_options(**values: object) -> None:
            given = _given(options, values)
            command(given, **values)

        parameters = [option.parameter for option in options]
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        # Typer makes its options from these two.
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


def _options(name: str, field: FieldInfo, default: object) -> Iterator[_Option]:
    panel = panel_of(field)
    if panel is None or not panel.parts:
        text = _default_text(field) if default is None else ""
        yield _Option(_parameter(name, field, text, panel, default), name)
        return
    (inner,) = (each for each in get_args(field.annotation) if each is not type(None))
    for part in panel.parts:
        # What is not stated comes from elsewhere, so that no default shown here would be true.
        yield _Option(_parameter(part, inner.model_fields[part], "", panel, default), name, part)


def _parameter(name: str, field: FieldInfo, default_text: str, panel: Panel | None, default: object) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    option = typer.Option(
        *([flag] if field.annotation is bool else []),  # named, it has no opposite
        help=f"{field.description}{default_text}",
        rich_help_panel=panel.heading if panel else None,
    )
    kind = Annotated[Optional[_plain(field.annotation)], option]  # type: ignore[valid-type] # noqa: UP045 known at run time only
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _plain(annotation: object) -> object:
    """A type without what the model checks in it, which `--help` would show in its place. The model checks it all the same."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(_plain(each) for each in get_args(annotation))]  # noqa: UP007 known at run time only
    return annotation


def _default_text(field: FieldInfo) -> str:
    if field.is_required() or field.default is None or field.annotation is bool:
        return ""
    return f" (default: {'the shipped one' if field.default == SHIPPED_BUNDLE else field.default})"


def _given(options: list[_Option], values: dict[str, object]) -> Given:
    """Takes the options out of `values`; those that were not stated are None there."""
    given: Given = {}
    for option in options:
        if (value := values.pop(option.parameter.name, None)) is None:
            continue
        if option.part is None:
            given[option.setting] = value
        else:
            given.setdefault(option.setting, {})[option.part] = value
    return given
