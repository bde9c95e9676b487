"""What is wrong with a configuration before a run finds out, and a new one as a commented file."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from pydantic import TypeAdapter, ValidationError

from edge.camera.uri import SCALE_FREE, scheme_of
from edge.contracts.base import explain
from edge.contracts.errors import ConfigError, LeukoError
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import write_whole
from edge.service.serving_setup import Stated
from edge.settings import IN_MEMORY, EdgeSettings, Setup
from edge.settings.config_file import config_content, known, read_config
from edge.settings.config_text import commented_configuration
from edge.settings.named_profiles import profiles_of, with_profile
from edge.stream.curve_keys import EDGE, read_pair
from edge.stream.sockets import check_endpoint, check_guarded
from edge.telemetry.metrics_page import MetricsPage

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class _Nothing(Collector):
    """For a page whose address alone is looked at."""

    def collect(self) -> Iterator[Metric]:
        return iter(())


def write_configuration(given: Mapping[str, Any], file: Path | None, out: Path) -> None:
    """Write `out` with what is given, over what `file` states. Raises `ConfigError`, also where `out` is there already."""
    if out.exists():
        raise ConfigError(f"{out} is there already; give another file with --out, or remove it.")
    if out.suffix.lower() != ".toml":
        raise ConfigError(f"{out} would not be read as TOML; give it a name that ends in .toml.")
    stated = read_config(file) if file else {}
    for key, value in known(dict(given), "the command line").items():
        below = stated.get(key)
        stated[key] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    text = commented_configuration(_JSON.dump_python(stated, mode="json"))
    try:
        write_whole(out, text)
    except OSError as problem:
        raise ConfigError(f"{out} cannot be written ({problem.strerror}); give another file with --out.") from problem


def tell_check(file: Path, as_json: bool) -> None:
    """Print what is wrong with `file`, a line each. Raises `ConfigError` when a run would refuse it."""
    problems, warnings = check_configuration(file)
    if as_json:
        print(json.dumps({"file": str(file), "would_run": not problems, "problems": problems, "warnings": warnings}))
    else:
        for word, sentences in (("error", problems), ("warning", warnings)):
            for sentence in sentences:
                print(f"{word}  {sentence}")
    if problems:
        raise ConfigError(f"configuration {file} cannot be used: {len(problems)} found above; correct it.")
    if not as_json:
        print(f"configuration {file} can be used")


def check_configuration(file: Path) -> tuple[list[str], list[str]]:
    """What keeps a run from using it, and what it would warn of. Never raises a `LeukoError`."""
    problems: list[str] = []
    setup, why = None, ""
    try:
        serving = Stated({}, file, {}).serving()
        setup, why = serving.setup, serving.why
    except LeukoError as problem:
        problems.append(str(problem))
    if setup is None:
        return list(dict.fromkeys([*problems, *_values_alone(file, problems)])), []
    for look in _looks(setup):
        try:
            look()
        except LeukoError as problem:
            problems.append(str(problem))
    warnings = [*dict.fromkeys((*filter(None, [why]), *setup.warnings)), *_doubts(setup.settings)]
    for name in profiles_of(setup):
        try:
            warnings += [f"profile {name!r}: {said}" for said in with_profile(setup, name).warnings]
        except LeukoError as problem:
            problems.append(f"no run can have profile {name!r}: {problem}")
    return problems, warnings


def _values_alone(file: Path, said: list[str]) -> Iterator[str]:
    """Of a file that a run would refuse: what is wrong with each of its values, beside what was said already."""
    try:
        content = config_content(file)
    except LeukoError:
        return
    for name, value in content.items():
        if name not in EdgeSettings.model_fields or any(f"`{name}" in sentence for sentence in said):
            continue
        try:
            EdgeSettings.model_validate({"source": "virtual:", name: value})
        except ValidationError as problem:
            yield f"a setting from {file} cannot be used: {explain(problem)}."
        except LeukoError as problem:
            yield str(problem)


def _looks(setup: Setup) -> Iterator[Callable[[], object]]:
    settings = setup.settings
    yield lambda: _check_source(settings)
    yield lambda: check_guarded(check_endpoint(settings.bind), settings.keys)
    if (telemetry := settings.telemetry) is not None:
        yield lambda: check_guarded(check_endpoint(telemetry), settings.keys, "read its counts")
    if (metrics := settings.metrics) is not None:
        yield lambda: MetricsPage(metrics, _Nothing())
    if (keys := settings.keys) is not None:
        yield lambda: read_pair(keys, EDGE)
    if settings.journal != IN_MEMORY:
        yield lambda: _check_writable("journal", settings.journal, makes_folder=True)
    if (log := settings.log_file) is not None:
        yield lambda: _check_writable("log_file", log, makes_folder=False)
    for name in ("keep_frames", "keep_crops"):
        if (place := getattr(settings, name)) is not None:
            yield partial(_check_new, name, place)


def _check_source(settings: EdgeSettings) -> None:
    scheme = scheme_of(settings.source)
    if scheme not in SCALE_FREE and settings.um_per_px is None:
        raise ConfigError("`um_per_px` is not set, and no profile says it; measure it with `leuko-calib pixel-size`.")


def _check_writable(name: str, place: Path, *, makes_folder: bool) -> None:
    path = expanded(place)
    folder = path.parent
    while makes_folder and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir() or not folder.is_dir():
        raise ConfigError(f"`{name}` names {path}, which is a folder or lies in none; give a file in a folder that exists.")
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK):
        raise ConfigError(f"`{name}` names {path}, and {target} cannot be written by this user; give another place.")


def _check_new(name: str, place: Path) -> None:
    if place.exists():
        raise ConfigError(f"`{name}` names {place}, which is there already; a run wants a new directory.")


def _doubts(settings: EdgeSettings) -> Iterator[str]:
    """What a run would take and an operator should know."""
    if settings.journal == IN_MEMORY:
        yield "`journal` is memory: records are lost with the process."
    if settings.policy == "latest":
        yield "`policy` is latest: fields may be dropped, so no run is diagnostic."
    if settings.allow_ungated_engine:
        yield "`allow_ungated_engine` is set: a run with an engine without a passed parity gate is not diagnostic."
    for name in ("slide_id", "sample_id"):
        if getattr(settings, name) is not None:
            yield f"`{name}` is set for every run whose controller names none."
