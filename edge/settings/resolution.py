"""Where each setting comes from: command line > file > profile > bundle > default."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.contracts.base import explain
from edge.contracts.bundle import MANIFEST, Thresholds, load_bundle
from edge.contracts.errors import ConfigError
from edge.contracts.names import decodable, printable
from edge.contracts.profile import load_profile
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.files import parse_yaml
from edge.settings.edge_settings import SHIPPED_BUNDLE, EdgeSettings, Setup
from edge.settings.profile_layer import layer_of
from edge.signing import signers_in


def resolve(command_line: Mapping[str, Any], file: Path | None = None) -> Setup:
    """Merge the layers and check them, and who signed them where that is asked for.

    Raises `ConfigError`, `ProfileError` or `BundleError`.
    """
    given = _merged(_read(file) if file else {}, _known(dict(command_line), "the command line"))
    for key in ("bundle", "profile", "signers"):
        value = given.get(key)
        if not isinstance(value, str | Path | None):
            raise ConfigError(f"`{key}` must be a path, not {value!r}; write it in quotes.")
        if value is not None:
            given[key] = expanded(Path(value))
    _refuse_undecodable(given)
    chosen_bundle, chosen_profile = given.get("bundle", SHIPPED_BUNDLE), given.get("profile")
    signers = signers_in(given.get("signers"))
    bundle, bundle_signer, profile_signer = load_bundle(chosen_bundle), None, None
    if signers is not None:
        bundle_signer = signers.require("bundle", bundle.path / MANIFEST, bundle.bundle_id)
    profile, profile_sha256 = None, None
    if chosen_profile is not None:
        profile, profile_sha256 = load_profile(chosen_profile)
        if signers is not None:
            profile_signer = signers.require("profile", Path(chosen_profile), profile_sha256)
    layer = layer_of(profile, bundle, chosen_profile or "", "nothing" if given.get("correct") == "nothing" else "profile")
    if "source" not in given:
        raise ConfigError("no source is set; give --source, for example --source folder:PATH or --source virtual:seed=42.")
    try:
        settings = EdgeSettings.model_validate(_merged(layer.values, given))
    except ValidationError as problem:
        where = f"{file} or the command line" if file else "the command line"
        raise ConfigError(
            f"a setting from {where} cannot be used: {explain(problem)}; see `leuko-edge run --help`."
        ) from problem
    return Setup(
        settings,
        bundle,
        profile_sha256,
        tuple(layer.warnings),
        bundle_signer,
        profile_signer,
        profile.camera if profile else None,
        layer.probability,
        layer.colours,
        layer.light,
        profile.stage if profile else None,
    )


def _refuse_undecodable(given: Mapping[str, Any]) -> None:
    """A run records its settings as text, so that what is none is found out before there is a run."""
    for key, value in given.items():
        if isinstance(value, str | Path) and not decodable(str(value)):
            raise ConfigError(
                f"`{key}` holds bytes that are not UTF-8 ({printable(str(value))}); rename it, or give another one."
            )


def _read(file: Path) -> dict[str, Any]:
    try:
        text = read_whole(file, SMALL_BYTES).decode()
    except OSError as problem:
        raise ConfigError(
            f"configuration {file} cannot be read ({problem.strerror}); check the path given to --config."
        ) from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"configuration {file} is not UTF-8 at byte {problem.start}; save it as UTF-8.") from problem
    content = parse_yaml(text, f"configuration {file}", ConfigError)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {file} must hold `setting: value` lines, not a {type(content).__name__}.")
    return _known(content, f"configuration {file}")


def _known(layer: dict[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(layer, EdgeSettings.model_fields, where)
    thresholds = layer.get("thresholds")
    if isinstance(thresholds, dict):
        _refuse_unknown(thresholds, Thresholds.model_fields, f"`thresholds` of {where}")
    return layer


def _refuse_unknown(keys: Iterable[Any], known: Iterable[str], where: str) -> None:
    names = sorted(known)
    for key in keys:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.0)[0]
            raise ConfigError(f"`{key}` in {where} is not a known setting; did you mean `{near}`?")


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """`high` over `low`; the thresholds are merged key by key."""
    both = {**low, **high}
    if isinstance(low.get("thresholds"), Mapping) and isinstance(high.get("thresholds"), Mapping):
        both["thresholds"] = {**low["thresholds"], **high["thresholds"]}
    return both
