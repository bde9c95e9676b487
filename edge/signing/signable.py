"""What can be signed: found from a path, read whole and checked as an edge would before anybody puts a name to it."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.base import parse_json
from edge.contracts.bundle import MANIFEST, load_bundle
from edge.contracts.engine_files import ENGINE_MANIFEST, PARITY, ParityReport, load_engine_files
from edge.contracts.errors import ConfigError, EngineError
from edge.contracts.profile import load_profile
from edge.contracts.signature import ERRORS, NOUNS, SignedKind, signature_file, signed_thing
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.signing.signing_keys import SigningKey


@dataclass(frozen=True, slots=True)
class Signable:
    """One file, what it is, and the hash of the bytes that were read and checked."""

    kind: SignedKind
    file: Path
    sha256: str

    @property
    def text(self) -> str:
        return f"{NOUNS[self.kind]} {signed_thing(self.kind, self.file)}"


def find_signables(path: Path) -> list[Signable]:
    """A bundle or an engine by its directory or manifest, else a profile. An engine's parity report goes with it; one of
    int8 or bf16 lies alone.

    Raises `ConfigError` when nothing is there, and what loading raises: nobody should sign what is damaged.
    """
    folder = path.parent if path.name in {MANIFEST, ENGINE_MANIFEST, PARITY} else path
    if (folder / MANIFEST).is_file():
        return [Signable("bundle", folder / MANIFEST, load_bundle(folder).bundle_id)]
    if (folder / ENGINE_MANIFEST).is_file():
        files = load_engine_files(folder)
        files.read_plan()
        found = [Signable("engine", folder / ENGINE_MANIFEST, files.manifest_sha256)]
        return found + ([Signable("parity", folder / PARITY, files.parity_sha256)] if files.parity_sha256 else [])
    if (folder / PARITY).is_file():
        return [Signable("parity", folder / PARITY, _checked_report(folder / PARITY))]
    if not path.is_file():
        raise ConfigError(
            f"{path} is neither bundle, engine nor profile; give a directory with {MANIFEST}, or a profile's file."
        )
    return [Signable("profile", path, load_profile(path)[1])]


def _checked_report(file: Path) -> str:
    """The hash of a parity report; raises `EngineError` for what is none."""
    try:
        content = read_whole(file, SMALL_BYTES)
    except OSError as problem:
        raise EngineError(f"the parity report {file} cannot be read ({problem.strerror}); verify the bundle anew.") from problem
    parse_json(ParityReport, content, file, EngineError)
    return hashlib.sha256(content).hexdigest()


def put_signature(what: Signable, key: SigningKey) -> Path:
    """Write the signature beside the file, in the place of an older one; returns its path.

    Raises the error of what is signed when it cannot be written.
    """
    target = signature_file(what.file)
    content = key.sign(what.kind, what.sha256).model_dump_json(indent=1) + "\n"
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)  # the edge may run as another user
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise ERRORS[what.kind](
            f"{target} cannot be written ({problem.strerror}); make its directory writable, or sign a copy."
        ) from problem
    return target
