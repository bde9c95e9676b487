"""Told to load only what is signed, an edge loads what one of its signers signed, and says why it loads nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.signed import change_json, secret_of, sign, signature_of, some_profile, trusting
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import MANIFEST, Bundle, load_bundle
from edge.contracts.errors import BundleError, ConfigError, ProfileError
from edge.contracts.signature import Signature, signature_file
from edge.settings import Setup
from edge.settings.resolution import resolve
from edge.signing.signing_keys import read_secret

pytestmark = pytest.mark.timeout(20)


@dataclass(frozen=True)
class Lab:
    """A bundle and a profile that lab-1 signed; the edge trusts lab-1 and lab-2, and has never heard of the stranger."""

    bundle: Bundle
    profile: Path
    signers: Path
    keys: Path

    def load(self, *, profile: bool = True, signers: bool = True) -> Setup:
        given = {"source": "virtual:seed=1", "bundle": self.bundle.path, "um_per_px": 0.13}
        given |= {"profile": str(self.profile)} if profile else {}
        return resolve(given | ({"signers": str(self.signers)} if signers else {}))

    def secret(self, name: str) -> Path:
        return secret_of(self.keys, name)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    keys = tmp_path / "keys"
    signers = trusting(tmp_path / "signers", secret_of(keys, "lab-1"), secret_of(keys, "lab-2"))
    lab = Lab(write_tiny_bundle(tmp_path / "bundle"), some_profile(tmp_path / "profile.json"), signers, keys)
    sign(lab.bundle.path, lab.secret("lab-1"))
    sign(lab.profile, lab.secret("lab-2"))
    return lab


def test_what_is_signed_loads_and_its_signers_are_known(lab: Lab) -> None:
    setup = lab.load()
    assert (setup.bundle_signer, setup.profile_signer) == ("lab-1", "lab-2")
    assert setup.settings.signers == lab.signers


def test_a_signature_changes_nothing_of_a_bundle(lab: Lab) -> None:
    assert load_bundle(lab.bundle.path) == lab.bundle
    assert lab.load().bundle == lab.bundle


def test_who_asks_for_no_signature_is_told_of_no_signer(lab: Lab) -> None:
    signature_of(lab.bundle).write_text("nonsense")
    setup = lab.load(signers=False)
    assert (setup.bundle_signer, setup.profile_signer) == (None, None)


def test_a_signer_has_the_name_that_the_edge_gave_its_key(lab: Lab) -> None:
    (lab.signers / "lab-1.pub").rename(lab.signers / "head-office.pub")
    assert lab.load().bundle_signer == "head-office"


def test_a_key_that_is_exchanged_signs_over_the_old_signature(lab: Lab) -> None:
    sign(lab.bundle.path, lab.secret("lab-2"))
    assert lab.load().bundle_signer == "lab-2"


def _rewrite(bundle: Bundle, **changed: object) -> None:
    change_json(signature_of(bundle), lambda content: content.update(changed))


def _signed_as(lab: Lab, kind: str, name: str = "lab-1") -> Signature:
    return read_secret(lab.secret(name)).sign(kind, lab.bundle.bundle_id)  # type: ignore[arg-type]


def _relabelled(lab: Lab, made_for: str, name: str = "lab-1", **changed: object) -> None:
    """What a forger does: a signature that lab-1 or another really made, with labels that pass."""
    signed = _signed_as(lab, made_for, name).model_copy(update=changed)
    signature_of(lab.bundle).write_text(signed.model_dump_json())


def _of_another_bundle(lab: Lab) -> Path:
    other = write_tiny_bundle(lab.bundle.path.with_name("other"), top_k=64)
    sign(other.path, lab.secret("lab-1"))
    return signature_of(other)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(
            lambda lab: signature_of(lab.bundle).unlink(),
            "has no bundle.json.sig; sign it with `leuko-edge sign put ",
            id="unsigned",
        ),
        pytest.param(
            lambda lab: change_json(lab.bundle.path / MANIFEST, lambda content: content.update(name="changed")),
            "bundle.json is not the one that lab-1 signed; copy both files again",
            id="a manifest that was changed",
        ),
        pytest.param(
            lambda lab: lab.bundle.model_path.write_bytes(lab.bundle.model_path.read_bytes() + b"x"),
            "is damaged: model.onnx",
            id="a model that was changed",
        ),
        pytest.param(
            lambda lab: signature_of(lab.bundle).write_bytes(_of_another_bundle(lab).read_bytes()),
            "is not the one that lab-1 signed",
            id="another bundle's signature",
        ),
        pytest.param(
            lambda lab: sign(lab.bundle.path, lab.secret("stranger")),
            "signature is by 'stranger' with the key ",
            id="signed by a stranger",
        ),
        pytest.param(
            lambda lab: (lab.signers / "lab-1.pub").unlink(),
            "sign it with a key of lab-2: ",
            id="a signer whose key was removed",
        ),
        pytest.param(
            lambda lab: _relabelled(lab, "bundle", "stranger", key_sha256=_signed_as(lab, "bundle").key_sha256, signer="lab-1"),
            "was not signed by lab-1",
            id="a stranger who says to be lab-1",
        ),
        pytest.param(lambda lab: _relabelled(lab, "profile"), "another kind of thing (profile)", id="a profile's signature"),
        pytest.param(
            lambda lab: _relabelled(lab, "profile", kind="bundle"),
            "was not signed by lab-1",
            id="a profile's signature that says to be a bundle's",
        ),
        pytest.param(
            lambda lab: (
                signature_of(lab.bundle).write_bytes(_of_another_bundle(lab).read_bytes()),
                _rewrite(lab.bundle, sha256=lab.bundle.bundle_id),
            ),
            "was not signed by lab-1",
            id="another bundle's signature with this one's hash",
        ),
        pytest.param(
            lambda lab: signature_of(lab.bundle).write_bytes(signature_of(lab.bundle).read_bytes()[:-40]),
            "bundle.json.sig is damaged or of another version",
            id="a signature cut off",
        ),
        pytest.param(lambda lab: _rewrite(lab.bundle, signature="A" * 86 + "=="), "was not signed by", id="an empty signature"),
        pytest.param(lambda lab: _rewrite(lab.bundle, schema_version=2), "of another version", id="a later format"),
        pytest.param(lambda lab: _rewrite(lab.bundle, signer="lab\n1"), "is damaged", id="a name that would break the log"),
        pytest.param(
            lambda lab: (signature_of(lab.bundle).unlink(), signature_of(lab.bundle).mkdir()),
            "cannot be read",
            id="a directory in its place",
        ),
    ],
)
def test_a_bundle_that_no_signer_vouches_for_is_refused(lab: Lab, spoil: Callable[[Lab], object], says: str) -> None:
    spoil(lab)
    with pytest.raises(BundleError) as caught:
        lab.load()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda file: signature_file(file).unlink(), "it has no profile.json.sig", id="unsigned"),
        pytest.param(
            lambda file: some_profile(file, 0.15), "profile.json is not the one that lab-2 signed", id="another scale"
        ),
        pytest.param(
            lambda file: signature_file(file).write_bytes((file.parent / "bundle" / "bundle.json.sig").read_bytes()),
            "another kind of thing (bundle)",
            id="a bundle's signature",
        ),
    ],
)
def test_a_profile_that_no_signer_vouches_for_is_refused(lab: Lab, spoil: Callable[[Path], object], says: str) -> None:
    spoil(lab.profile)
    with pytest.raises(ProfileError) as caught:
        lab.load()
    assert says in str(caught.value)
    assert f"leuko-edge sign put {lab.profile} --key" in str(caught.value)
    assert lab.load(profile=False).profile_signer is None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda folder: [file.unlink() for file in folder.iterdir()], "holds no signer's public key", id="no key"),
        pytest.param(lambda folder: folder.rename(folder.with_name("gone")), "cannot be read", id="no directory"),
        pytest.param(lambda folder: (folder / "x.pub").write_text("-----"), "x.pub holds no public key", id="no key in a file"),
        pytest.param(
            lambda folder: (folder / "x.pub").write_bytes((folder.parent / "keys" / "lab-1.pem").read_bytes()),
            "x.pub holds no public key",
            id="a secret key",
        ),
        pytest.param(
            lambda folder: (folder / "lab-1.pub").rename(folder / "lab 1.pub"),
            "'lab 1' is no name for a key",
            id="a name with a blank",
        ),
    ],
)
def test_a_list_of_signers_that_is_not_understood_lets_nothing_in(lab: Lab, spoil: Callable[[Path], object], says: str) -> None:
    spoil(lab.signers)
    with pytest.raises(ConfigError, match=says):
        lab.load()


@pytest.mark.parametrize("value", ["", 3])
def test_signers_that_are_no_directory_are_not_taken_for_none(lab: Lab, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.keys.parent)
    with pytest.raises(ConfigError):
        resolve({"source": "x", "bundle": lab.bundle.path, "signers": value})
