"""The settings of a run that names its profile: those of the process, with what that profile measured in place of its own's.

What was stated by people still stands above any profile, but for a um/px that contradicts it: over all profiles it would be
right for one of them at most.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError, ProfileError
from edge.contracts.profile import PixelSize, load_profile
from edge.settings.edge_settings import Origin, Setup
from edge.settings.profile_layer import layer_of
from edge.settings.setting_layers import DEFAULT, Layers
from edge.signing import signers_in

_OF_FILES = ("profile", "bundle")
_SAME_SCALE = 1e-3


def profiles_of(setup: Setup) -> Mapping[str, Path]:
    """The files of the profiles that a run may name."""
    return setup.settings.profiles or {}


def with_profile(setup: Setup, name: str) -> Setup:
    """`setup` with the profile that is called `name` in its settings.

    Raises `ProfileError` for one that cannot be read, is not signed as it should be, or does not go with what is stated, and
    `ConfigError` for a name that is not there.
    """
    path = profiles_of(setup).get(name)
    if path is None:
        raise ConfigError(f"no profile is called {name!r}; name it in `profiles`.")
    profile, sha256 = load_profile(path)
    signers = signers_in(setup.settings.signers)
    signer = signers.require("profile", path, sha256) if signers is not None else None
    stated = _stated(setup)
    _require_scale(stated, path, name, profile.pixel_size)
    layer = layer_of(profile, setup.bundle, path, setup.settings.correct)
    stated.values |= {"profile": path, "objective": profile.camera.objective}
    stated.origins |= {"profile": setup.origins.get(f"profiles.{name}", DEFAULT), "objective": Origin("profile", str(path))}
    layers = layer.under(stated, str(path), str(setup.bundle.path))
    return replace(
        setup,
        settings=type(setup.settings).model_validate(layers.values),
        profile_sha256=sha256,
        warnings=tuple(layer.warnings),
        profile_signer=signer,
        profile_camera=profile.camera,
        probability=layer.probability,
        colours=layer.colours,
        light=layer.light,
        stage=profile.stage,
        origins=layers.origins,
        latency=profile.latency,
        focus=profile.focus,
        profile_name=name,
    )


def _stated(setup: Setup) -> Layers:
    """What people have stated, as it has been checked: all but what the profile of `setup`, or its bundle, says."""
    settings = setup.settings
    of_files = {path for path, origin in setup.origins.items() if origin.kind in _OF_FILES}
    values: dict[str, Any] = {name: getattr(settings, name) for name in settings.model_fields_set if name not in of_files}
    if settings.um_per_px is None:  # stated as null, it states nothing
        values.pop("um_per_px", None)
    if settings.thresholds is not None and "thresholds" in values:
        parts = settings.thresholds.model_dump(exclude_unset=True)
        values["thresholds"] = {part: value for part, value in parts.items() if f"thresholds.{part}" not in of_files}
    return Layers(values, {path: origin for path, origin in setup.origins.items() if path not in of_files})


def _require_scale(stated: Layers, path: Path, name: str, measured: PixelSize | None) -> None:
    own = stated.values.get("um_per_px")
    if own is None or measured is None or abs(own - measured.um_per_px) <= _SAME_SCALE * own:
        return
    raise ProfileError(
        f"profile {path} says {measured.um_per_px:g} um/px and {stated.origins.get('um_per_px', 'a setting')} states {own:g}, "
        f"which would stand above it; leave `um_per_px` out (a default `profile` can say it), so that runs can name {name!r}."
    )
