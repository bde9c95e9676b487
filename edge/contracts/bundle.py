"""A bundle: a directory with `bundle.json` and the files it names, immutable once written.

`bundle_id` is the SHA-256 of `bundle.json`, which in turn holds the SHA-256 of every other file; nothing loads from a bundle
whose hashes do not hold.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge.contracts.base import Fraction, Sha256, Strict, parse_json
from edge.contracts.cells import CELLS, INDEX
from edge.contracts.colours import ReferenceColours
from edge.contracts.errors import BundleError

MANIFEST = "bundle.json"
MODEL = "model.onnx"
CARD = "CARD.md"

NO_CELL = "no_cell"
"""The second look's name for what is no cell of the table."""

UNKNOWN = "unknown"
"""Its name for a cell that is none of those it was taught."""

Pixels = Annotated[int, Field(ge=32, le=16384)]


class BundleClass(Strict):
    """One row of the class table; the row's index is the label in the graph's output."""

    name: str
    abbreviation: str
    is_wbc: bool


class Thresholds(Strict):
    """Default operating point; a profile may override it for one instrument."""

    detect: Fraction = Field(0.30, description="a cell is present at or above this presence score")
    identify: Fraction = Field(0.50, description="below this class score a present cell is `unidentified`")
    identify_by_class: dict[str, Fraction] = Field(default_factory=dict, description="overrides `identify`")
    margin: Fraction = Field(0.10, description="smaller lead over the runner-up class: `unidentified`")
    nms_iou: Fraction = Field(0.45, description="per-class suppression")
    agnostic_iou: Fraction = Field(0.50, description="one cell, one label: suppression across classes")

    @model_validator(mode="after")
    def _known_classes(self) -> "Thresholds":
        unknown = sorted(set(self.identify_by_class) - set(INDEX))
        if unknown:
            raise ValueError(f"unknown classes {unknown}; the classes are {list(INDEX)}")
        return self


class Training(Strict):
    """Where the weights come from. `trained` is false for random weights, which must never reach a user."""

    trained: bool
    code_version: str
    seed: int
    recipe: dict[str, Any] = Field(default_factory=dict)
    seconds: float | None = Field(None, ge=0, description="time the training took")
    hardware: str | None = Field(None, description="what it ran on")
    data: dict[str, Any] = Field(default_factory=dict, description="source, licence, images, SHA-256 per data set")
    metrics: dict[str, Any] = Field(default_factory=dict, description="measured on held-back images, with the split named")


class SecondLook(Strict):
    """The second network of a graph, which looks again at what the detector found: a note on what the graph does by itself.

    A frame's `looks` cells of highest presence are looked at, one crop each; any further ones keep the detector's word alone.
    The shares weigh both networks' opinions in the exponent: 0 is the detector's alone, 1 the second look's.
    """

    looks: int = Field(ge=1, le=64)
    crop_side_px: int = Field(ge=32, le=512)
    crop_um: float = Field(gt=0, le=100, description="side of the square that a crop shows")
    same_cell_iou: Fraction = Field(0.45, description="priors that overlap more are looked at once")
    temperature: float = Field(1.0, gt=0, description="divides the second network's logits")
    presence_share: Fraction = 0.5
    type_share: Fraction = 0.7
    agreement: float = Field(
        0.0, ge=0, description="how much it counts that both call a cell alike; what they do not goes to the likeliest alike"
    )
    agreement_share: Fraction = Field(0.5, description="the second look's share in whether they do")
    class_weights: dict[str, float] = Field(
        default_factory=dict, description="factors of its probabilities by class, `no_cell` included; 1 where none is given"
    )
    says_unknown: bool = Field(
        False, description="an output for cells it was not taught; what it takes for one has no leading class: `unidentified`"
    )
    taught: tuple[str, ...] = Field((), description="classes of which it saw photographs; it calls nothing else")
    recipe: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict, description="as in `Training`")

    @staticmethod
    def outputs() -> tuple[str, ...]:
        """Names of its outputs, in order; not every network has the last one."""
        return (*INDEX, NO_CELL, UNKNOWN)

    @model_validator(mode="after")
    def _known_classes(self) -> "SecondLook":
        if unknown := sorted((set(self.class_weights) | set(self.taught)) - set(self.outputs())):
            raise ValueError(f"unknown classes {unknown}; the classes are {list(self.outputs())}")
        return self


class Quantisation(Strict):
    """How the graph of an int8 bundle came out of another bundle's FP32 graph, which stays what it is held against.

    8 bits hold the weights and the inputs of convolutions; all else of the graph computes in floating point.
    """

    parent_bundle_id: Sha256
    parent_onnx_sha256: Sha256 = Field(description="of the parent's model.onnx: the reference of the parity gate")
    method: str = Field(description="tool, version and kind")
    images: int = Field(ge=1, description="frames whose value ranges set the scales")
    images_sha256: Sha256 = Field(description="over these frames' pixels, in order")
    images_from: str
    convolutions: int = Field(ge=1, description="that compute in int8")
    float_convolutions: tuple[str, ...] = Field((), description="those that do not, by the name of their layer")


class BundleManifest(Strict):
    """The content of `bundle.json`."""

    schema_version: Literal[1] = 1
    name: str
    architecture: str
    parent_bundle_id: Sha256 | None = None
    um_per_px: float = Field(gt=0, le=10, description="physical scale of the fields the model was trained on")
    field_width_px: Pixels
    field_height_px: Pixels
    network_width_px: Pixels
    network_height_px: Pixels
    resize: Literal["stretch"] = "stretch"
    top_k: int = Field(ge=1, le=4096, description="rows of each graph output")
    classes: tuple[BundleClass, ...]
    thresholds: Thresholds = Thresholds()
    reference_colours: ReferenceColours | None = Field(
        None, description="of the training images; null: colours stay as they are"
    )
    moved_thresholds: Thresholds | None = Field(
        None, description="default operating point of fields whose colours were moved; null: the same"
    )
    second_look: SecondLook | None = Field(None, description="null: the graph is the detector alone")
    quantisation: Quantisation | None = Field(None, description="null: the graph is the FP32 one; else an int8 one for CPUs")
    training: Training
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _complete(self) -> "BundleManifest":
        if [row.name for row in self.classes] != [cell.name for cell in CELLS]:
            raise ValueError(f"the class table must be {[cell.name for cell in CELLS]} in this order")
        if MODEL not in self.files:
            raise ValueError(f"`files` must name {MODEL}")
        for name in self.files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"file {name!r} points outside the bundle")
        return self


def class_table() -> tuple[BundleClass, ...]:
    """The class table every bundle of this schema carries."""
    return tuple(BundleClass(name=c.name, abbreviation=c.abbreviation, is_wbc=c.is_wbc) for c in CELLS)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose hashes were checked."""

    path: Path
    bundle_id: str
    manifest: BundleManifest

    @property
    def model_path(self) -> Path:
        return self.path / MODEL

    def read_model(self) -> bytes:
        """The graph's bytes, hashed once more: these are loaded, whatever was in the file when the bundle was.

        Raises `BundleError` when they have changed since.
        """
        content = self.model_path.read_bytes() if self.model_path.is_file() else None
        if content is None or hashlib.sha256(content).hexdigest() != self.manifest.files[MODEL]:
            raise BundleError(f"{MODEL} of bundle {self.path} was changed while the bundle was in use; copy the bundle again.")
        return content


def load_bundle(path: Path | str) -> Bundle:
    """Read and verify a bundle. Raises `BundleError` if it is missing, malformed or any byte has changed."""
    folder = Path(path)
    file = folder / MANIFEST
    if not file.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}; give the directory that holds {MANIFEST}.")
    content = file.read_bytes()
    manifest = parse_json(BundleManifest, content, file, BundleError)
    for name, expected in manifest.files.items():
        part = folder / name
        if not part.is_file():
            raise BundleError(f"bundle {folder} lacks its file {name}; copy the bundle again from where it was made.")
        if sha256_of(part) != expected:
            raise BundleError(
                f"bundle {folder} is damaged: {name} does not have the SHA-256 that {MANIFEST} names; "
                "copy the bundle again, or export a new one if the change was meant."
            )
    return Bundle(folder, hashlib.sha256(content).hexdigest(), manifest)


def require_new(folder: Path) -> None:
    """Raises `BundleError` when `folder` holds something already: bundles are immutable."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} already exists and is not empty; bundles are immutable, choose a new directory.")


def write_bundle(folder: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> Bundle:
    """Write a new bundle from manifest fields (all but `files`) and file contents. Never overwrites one."""
    require_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    checked = BundleManifest.model_validate({**manifest, "files": hashes})
    try:
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (folder / MANIFEST).write_text(checked.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except BaseException:
        for part in folder.iterdir():  # it was empty, and a part of a bundle would be in the way of the whole one
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        raise
    return load_bundle(folder)
