"""Whose signatures an edge accepts: a directory of public keys, and the judgement over one signed file."""

import base64
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from edge.contracts.base import explain
from edge.contracts.errors import ConfigError
from edge.contracts.signature import (
    ERRORS,
    NOUNS,
    Signature,
    SignedKind,
    signature_file,
    signed_thing,
    statement,
)
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.signing.signing_keys import PUBLIC, check_name, fingerprint, read_public


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who signed a file, as the directory names the key; or the reason why nobody has who counts, and what to do."""

    signer: str = ""
    reason: str = ""
    remedy: str = ""


class Signers:
    """The public keys (`NAME.pub`) of a directory, as they were when it was read.

    Raises `ConfigError` when the directory cannot be read, holds no key, or one that is none: a list that is understood in
    part would be another list than the one that was meant.
    """

    def __init__(self, folder: Path) -> None:
        try:
            files = sorted(file for file in folder.iterdir() if file.name.endswith(PUBLIC))
        except OSError as problem:
            raise ConfigError(
                f"the directory of signers {folder} cannot be read ({problem.strerror}); check the path given to --signers."
            ) from problem
        if not files:
            raise ConfigError(
                f"{folder} holds no signer's public key (*{PUBLIC}), so nothing could be loaded; copy the {PUBLIC} file of who "
                "signs to it, or make a pair with `leuko-edge sign new NAME --out DIR`."
            )
        self._folder = folder
        self._keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for file in files:
            name, key = file.name.removesuffix(PUBLIC), read_public(file)
            check_name(name)
            self._keys.setdefault(fingerprint(key), (name, key))

    def require(self, kind: SignedKind, file: Path, sha256: str) -> str:
        """Name of the signer of `file`, of whose bytes `sha256` is the hash.

        Raises `BundleError`, `ProfileError` or `EngineError`, by kind, when none of these keys has signed these bytes.
        """
        found = self.judge(kind, file, sha256)
        if not found.signer:
            thing = f"{NOUNS[kind]} {signed_thing(kind, file)}"
            raise ERRORS[kind](f"{thing} is not signed as --signers asks: {found.reason}; {found.remedy}.")
        return found.signer

    def judge(self, kind: SignedKind, file: Path, sha256: str) -> Judgement:
        """The same without raising."""
        sign = f"`leuko-edge sign put {quote(str(signed_thing(kind, file)))} --key SECRET.pem`"
        try:
            said = _read(signature_file(file), sign)
            name = self._holds(said, kind, sign)
        except _NotSigned as problem:
            return Judgement(reason=problem.reason, remedy=problem.remedy)
        if said.sha256 != sha256:
            return Judgement(
                reason=f"{file.name} is not the one that {name} signed",
                remedy=f"copy both files again, or, if the change was meant, sign anew with {sign}",
            )
        return Judgement(signer=name)

    def _holds(self, said: Signature, kind: SignedKind, sign: str) -> str:
        """Name of the key whose signature holds; what the file says of itself counts for nothing before that."""
        if said.kind != kind:
            raise _NotSigned(f"its signature is one of another kind of thing ({said.kind})", f"sign it with {sign}")
        if said.key_sha256 not in self._keys:
            names = ", ".join(name for name, _ in self._keys.values())
            raise _NotSigned(
                f"its signature is by {said.signer!r} with the key {said.key_sha256[:16]}, which is not in {self._folder}",
                f"sign it with a key of {names}: {sign}, or copy that public key there if you trust its owner",
            )
        name, key = self._keys[said.key_sha256]
        try:
            key.verify(base64.b64decode(said.signature), statement(kind, said.sha256))
        except InvalidSignature as problem:
            raise _NotSigned(
                f"what stands in its signature file was not signed by {name}", f"copy it again, or sign anew with {sign}"
            ) from problem
        return name


class _NotSigned(Exception):
    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def _read(beside: Path, sign: str) -> Signature:
    try:
        return Signature.model_validate_json(read_whole(beside, SMALL_BYTES))
    except FileNotFoundError as problem:
        raise _NotSigned(f"it has no {beside.name}", f"sign it with {sign}") from problem
    except OSError as problem:
        raise _NotSigned(f"{beside} cannot be read ({problem.strerror})", "make it readable for the edge") from problem
    except ValidationError as problem:
        raise _NotSigned(
            f"{beside.name} is damaged or of another version ({explain(problem)})", f"copy it again, or sign anew with {sign}"
        ) from problem


def signers_in(folder: Path | None) -> Signers | None:
    """The signers of a directory; None when none is set and no signature is asked for. Raises `ConfigError`."""
    return None if folder is None else Signers(folder)
