"""Keys, and things that they signed, as an operator makes them: by files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.contracts.bundle import MANIFEST, Bundle
from edge.contracts.profile import CameraGeometry, PixelSize, Profile, write_profile
from edge.contracts.signature import signature_file
from edge.signing.signable import find_signables, put_signature
from edge.signing.signing_keys import new_pair, read_secret


def secret_of(folder: Path, name: str) -> Path:
    """The secret key of a signer, made when it is not there yet."""
    secret = folder / f"{name}.pem"
    return secret if secret.exists() else new_pair(folder, name)[1]


def trusting(folder: Path, *secrets: Path) -> Path:
    """A directory of signers, with the public halves of these keys."""
    folder.mkdir()
    for secret in secrets:
        public = secret.with_suffix(".pub")
        (folder / public.name).write_bytes(public.read_bytes())
    return folder


def sign(path: Path, secret: Path) -> None:
    for each in find_signables(path):
        put_signature(each, read_secret(secret))


def change_json(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def signature_of(bundle: Bundle) -> Path:
    return signature_file(bundle.path / MANIFEST)


def some_profile(file: Path, um_per_px: float = 0.13) -> Path:
    measured = PixelSize(
        um_per_px=um_per_px,
        uncertainty_um_per_px=0.001,
        line_spacing_um=10,
        lines_found=9,
        image_sha256="a" * 64,
        measured_at="2030-01-02T03:04:05Z",
    )
    camera = CameraGeometry(width_px=160, height_px=128)
    write_profile(file, Profile(instrument="scope", camera=camera, pixel_size=measured))
    return file
