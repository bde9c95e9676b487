"""Where each setting comes from: command line > environment > file > profile > bundle > default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.contracts.base import explain
from edge.contracts.bundle import MANIFEST, load_bundle
from edge.contracts.errors import ConfigError
from edge.contracts.names import decodable, printable
from edge.contracts.profile import load_profile
from edge.contracts.user_paths import expanded
from edge.settings.config_file import known, read_config
from edge.settings.edge_settings import SHIPPED_BUNDLE, EdgeSettings, Origin, Setup
from edge.settings.environment import from_environment
from edge.settings.profile_layer import layer_of
from edge.settings.setting_layers import Layers
from edge.signing import signers_in


def resolve(
    command_line: Mapping[str, Any],
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    instead_of_none: str | None = None,
) -> Setup:
    """Merge the layers and check them, and who signed them where that is asked for.

    The environment is that of a command that serves or that explains one; others leave it out. `instead_of_none` stands for
    the source where none is stated. Raises `ConfigError`, `ProfileError` or `BundleError`.
    """
    stated = Layers()
    stated.put(Origin("file", str(file)), read_config(file) if file else {})
    stated.put(Origin("environment"), from_environment(environment or {}))
    stated.put(Origin("option"), known(dict(command_line), "the command line"))
    given = stated.values
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
        if instead_of_none is None:
            raise ConfigError("no source is set; give --source, for example --source folder:PATH or --source virtual:seed=42.")
        given["source"] = instead_of_none
    all_layers = layer.under(stated, str(chosen_profile), str(chosen_bundle))
    try:
        settings = EdgeSettings.model_validate(all_layers.values)
    except ValidationError as problem:
        raise ConfigError(
            f"a setting from {_places(problem, all_layers, file)} cannot be used: {explain(problem)}; "
            "see `leuko-edge run --help`."
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
        all_layers.origins,
        profile.latency if profile else None,
        profile.focus if profile else None,
    )


def _places(problem: ValidationError, layers: Layers, file: Path | None) -> str:
    """Where the settings come from that are complained of."""
    found = [layers.origin_of([str(part) for part in fault["loc"]]) for fault in problem.errors()]
    places = list(dict.fromkeys(str(each) for each in found if each is not None))
    return " and ".join(places) or (f"{file} or the command line" if file else "the command line")


def _refuse_undecodable(given: Mapping[str, Any]) -> None:
    """A run records its settings as text, so that what is none is found out before there is a run."""
    for key, value in given.items():
        if isinstance(value, str | Path) and not decodable(str(value)):
            raise ConfigError(
                f"`{key}` holds bytes that are not UTF-8 ({printable(str(value))}); rename it, or give another one."
            )
