"""Keys that sign. A pair is two PEM files, as openssl reads and writes them: NAME.pem (PKCS#8, for its owner alone) and
NAME.pub (SubjectPublicKeyInfo, for every edge that shall trust it)."""

import base64
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from edge.contracts.errors import ConfigError
from edge.contracts.signature import NAME_PATTERN, Signature, SignedKind, statement
from edge.contracts.whole_file import SMALL_BYTES, read_whole

PUBLIC, SECRET = ".pub", ".pem"
_NEW = "`leuko-edge sign new NAME --out DIR`"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret key, and what its owner calls it."""

    name: str
    secret: Ed25519PrivateKey

    def sign(self, kind: SignedKind, sha256: str) -> Signature:
        """The signature of a thing of this kind whose bytes have this SHA-256."""
        made = self.secret.sign(statement(kind, sha256))
        return Signature(
            kind=kind,
            sha256=sha256,
            signer=self.name,
            key_sha256=fingerprint(self.secret.public_key()),
            signature=base64.b64encode(made).decode("ascii"),
        )


def fingerprint(key: Ed25519PublicKey) -> str:
    """Hex SHA-256 of a public key: `openssl pkey -pubin -in NAME.pub -outform DER | sha256sum` says the same."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def new_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new pair, public and secret; only the owner may read the secret. Raises `ConfigError`, also when one is there."""
    check_name(name)
    public, secret = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    for file in (public, secret):
        if file.exists():
            raise ConfigError(f"{file} is there already, and what its owner signed would no longer count; choose another name.")
    key = Ed25519PrivateKey.generate()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The public half first: alone it is worth nothing to anybody.
        _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
        try:
            _write_new(secret, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        except OSError:
            public.unlink()
            raise
    except OSError as problem:
        raise ConfigError(f"keys cannot be written to {folder} ({problem.strerror}); give another directory.") from problem
    return public, secret


def read_secret(file: Path) -> SigningKey:
    """A secret key from its PEM file; its name is the file's. Raises `ConfigError`, also when others could read it."""
    name = file.name.removesuffix(SECRET)
    check_name(name)
    try:
        mode, content = file.stat().st_mode, read_whole(file, SMALL_BYTES)
    except OSError as problem:
        raise ConfigError(
            f"secret key {file} cannot be read ({problem.strerror}); give the {SECRET} file of {_NEW}."
        ) from problem
    try:
        secret = load_pem_private_key(content, password=None)
    except TypeError as problem:
        raise ConfigError(
            f"secret key {file} has a passphrase, which is not supported; write it without one: "
            f"`openssl pkey -in {quote(str(file))} -out NAME{SECRET}`."
        ) from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise ConfigError(f"{file} holds no secret key; give the {SECRET} file of {_NEW}.") from problem
    if not isinstance(secret, Ed25519PrivateKey):
        raise ConfigError(f"the secret key in {file} is not ed25519; make one with {_NEW}.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"others than its owner may read {file}, so it is no secret; `chmod 600 {quote(str(file))}` if nobody has."
        )
    return SigningKey(name, secret)


def read_public(file: Path) -> Ed25519PublicKey:
    """The public key of a PEM file. Raises `ConfigError` when it holds none of ed25519."""
    try:
        key = load_pem_public_key(read_whole(file, SMALL_BYTES))
    except OSError as problem:
        raise ConfigError(
            f"public key {file} cannot be read ({problem.strerror}); make it readable, or remove it."
        ) from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise ConfigError(f"{file} holds no public key; copy it again from who signs, or remove it.") from problem
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"the public key in {file} is not ed25519; make a pair with {_NEW}, or remove it.")
    return key


def _write_new(file: Path, content: bytes, mode: int) -> None:
    """With its mode from the first moment, whole or not at all, and never over a file that is there."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        try:
            stream.write(content)
            stream.flush()
        except OSError:
            file.unlink()
            raise


def check_name(name: str) -> None:
    """Raises `ConfigError` for what cannot stand in a file's name and in a sentence."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(f"{name!r} is no name for a key; use letters, digits, points and dashes, such as lab-1{SECRET}.")
