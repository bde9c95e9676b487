"""A signature: a small JSON file beside what it signs, `bundle.json.sig` beside `bundle.json`.

What is signed is a statement of three lines: leukostream, what kind of thing it is, and the SHA-256 of its bytes. So the
signature of one kind never serves for another, and whoever loads a file compares the hash of the very bytes that it loaded.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.contracts.base import Sha256, Strict
from edge.contracts.errors import BundleError, EngineError, LeukoError, ProfileError

SUFFIX = ".sig"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

SignedKind = Literal["bundle", "profile", "engine", "parity"]
"""A bundle by its bundle.json, an engine by its engine.json: these hold the hashes of the rest. A parity report is written anew
whenever an engine is compared, so that it has a signature of its own."""

NOUNS: dict[SignedKind, str] = {
    "bundle": "bundle",
    "profile": "profile",
    "engine": "engine",
    "parity": "parity report of engine",
}
ERRORS: dict[SignedKind, type[LeukoError]] = {
    "bundle": BundleError,
    "profile": ProfileError,
    "engine": EngineError,
    "parity": EngineError,
}


class Signature(Strict):
    """The content of a signature file."""

    schema_version: Literal[1] = 1
    kind: SignedKind
    sha256: Sha256 = Field(description="of the bytes that were signed")
    signer: str = Field(pattern=NAME_PATTERN, description="as the signer calls its key; who checks goes by its own name of it")
    key_sha256: Sha256 = Field(description="of the public key that the signature was made for (DER, SubjectPublicKeyInfo)")
    signature: str = Field(pattern=r"^[A-Za-z0-9+/]{86}==$", description="ed25519, over the statement; base64")


def statement(kind: SignedKind, sha256: str) -> bytes:
    """The bytes that ed25519 signs."""
    return f"leukostream signature 1\n{kind}\n{sha256}\n".encode("ascii")


def signature_file(file: Path) -> Path:
    """Where the signature of a file is."""
    return file.with_name(file.name + SUFFIX)


def signed_thing(kind: SignedKind, file: Path) -> Path:
    """What people call the signed thing: a bundle's or engine's directory, a profile's file."""
    return file if kind == "profile" else file.parent
