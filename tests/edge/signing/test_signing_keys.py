"""Key files: openssl's and ours are the same, and a secret that others could read is none."""

import base64
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from edge.contracts.errors import ConfigError
from edge.contracts.signature import statement
from edge.signing import Signers
from edge.signing.signing_keys import new_pair, read_secret

pytestmark = pytest.mark.timeout(20)

_NOTHING = NoEncryption()


@pytest.mark.parametrize("umask", [0o077, 0o000], ids=["a careful umask", "no umask at all"])
def test_only_the_owner_may_read_the_secret(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        public, secret = new_pair(tmp_path / "keys", "lab-1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert public.read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
    assert read_secret(secret).name == "lab-1"


def test_a_pair_never_replaces_another_one(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path, "lab-1")
    kept = secret.read_bytes()
    for file in (public, secret):
        other = secret if file is public else public
        content = other.read_bytes()
        other.unlink()
        with pytest.raises(ConfigError, match=f"{file.name} is there already"):
            new_pair(tmp_path, "lab-1")
        other.write_bytes(content)
    assert secret.read_bytes() == kept


def _pem(key: Ed25519PrivateKey, protection: KeySerializationEncryption = _NOTHING) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        pytest.param("lab-1.pem", lambda file: file.chmod(0o640), "others than its owner may read", id="readable by the group"),
        pytest.param("lab-1.pem", lambda file: file.chmod(0o604), "others than its owner may read", id="readable by everybody"),
        pytest.param("lab-1.pem", lambda file: file.unlink(), "cannot be read", id="not there"),
        pytest.param("lab-1.pem", lambda file: file.write_text("nonsense"), "holds no secret key", id="no key"),
        pytest.param(
            "lab-1.pem",
            lambda file: file.write_bytes(file.with_suffix(".pub").read_bytes()),
            "holds no secret key",
            id="the public half",
        ),
        pytest.param(
            "lab-1.pem",
            lambda file: file.write_bytes(_pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret"))),
            "has a passphrase",
            id="with a passphrase",
        ),
        pytest.param(
            "lab-1.pem",
            lambda file: file.write_bytes(
                generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _NOTHING)
            ),
            "is not ed25519",
            id="a key of another kind",
        ),
        pytest.param("lab 2.pem", lambda file: None, "is no name for a key", id="a name with a blank"),
    ],
)
def test_a_secret_key_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, spoil: Callable[[Path], object], says: str
) -> None:
    secret = new_pair(tmp_path, "lab-1")[1]
    spoil(secret)
    with pytest.raises(ConfigError, match=says) as caught:
        read_secret(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_public_key_of_another_kind_is_no_signer(tmp_path: Path) -> None:
    public = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "lab-1.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigError, match=r"the public key in .*lab-1\.pub is not ed25519"):
        Signers(tmp_path)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to compare with")


def _openssl(*arguments: object, folder: Path) -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=20).stdout


@needs_openssl
def test_openssl_verifies_a_signature_and_says_the_same_fingerprint(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path, "lab-1")
    signed = read_secret(secret).sign("bundle", "a" * 64)
    (tmp_path / "statement").write_bytes(statement("bundle", "a" * 64))
    (tmp_path / "raw").write_bytes(base64.b64decode(signed.signature))
    verify = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-sigfile", "raw", "-in", "statement"]
    assert b"Successfully" in _openssl(*verify, folder=tmp_path)
    der = _openssl("pkey", "-pubin", "-in", public, "-outform", "DER", folder=tmp_path)
    assert hashlib.sha256(der).hexdigest() == signed.key_sha256


@needs_openssl
def test_a_pair_that_openssl_made_signs(tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.mkdir()
    _openssl("genpkey", "-algorithm", "ed25519", "-out", "lab-1.pem", folder=tmp_path)
    _openssl("pkey", "-in", "lab-1.pem", "-pubout", "-out", "signers/lab-1.pub", folder=tmp_path)
    (tmp_path / "lab-1.pem").chmod(0o600)
    signed = read_secret(tmp_path / "lab-1.pem").sign("profile", "b" * 64)
    (tmp_path / "profile.json.sig").write_text(signed.model_dump_json())
    assert Signers(signers).require("profile", tmp_path / "profile.json", "b" * 64) == "lab-1"
