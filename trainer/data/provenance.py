"""What a model was made from, for its bundle and card: images, annotations and code."""

import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from edge.contracts.cells import CELLS
from edge.contracts.errors import ConfigError
from edge.contracts.version import VERSION
from trainer.data.annotation import UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.faults import OriginMissing
from trainer.data.readers.description import load_description


def require_origins(description: Path) -> None:
    """Raises `DataError` when the description does not say where a source comes from: a bundle must be able to."""
    if missing := load_description(description).without_origin:
        raise OriginMissing(
            f"{description} does not state origin and licence of {', '.join(missing)}; add them under `sources`."
        )


def require_allowed(description: Path, annotations: Sequence[Annotation]) -> None:
    """Raises `ConfigError` when one of these images, which are to be trained on, may be evaluated on only."""
    only = load_description(description).evaluation_only & {row.source for row in annotations}
    if only:
        name = sorted(only)[0]
        raise ConfigError(
            f"{description} allows {name} for evaluation only, and it would be trained on; hold it back with --split-by "
            f"source:{name}."
        )


def describe(
    description: Path, annotations: list[Annotation], left_out: Iterable[Path] = (), experiment: Path | None = None
) -> dict[str, object]:
    """Sources with licence and image count, cells per class, a hash over images and annotations, and the images' keys.

    `left_out`: images that could not be read and are not among the annotations; they are named. `experiment`: the description
    of further images among these, which may be of sources that are for evaluation only; then that is said, too.
    Raises `DataError` as `require_origins` does, and `ConfigError` as `require_allowed`.
    """
    origins = dict(load_description(description).sources)
    if experiment is None:
        require_allowed(description, annotations)
    else:
        require_origins(experiment)
        origins |= load_description(experiment).sources
    require_origins(description)
    images = Counter(row.source for row in annotations)
    cells = Counter(int(label) for row in annotations for label in row.labels)
    named = {cell.name: cells[index] for index, cell in enumerate(CELLS)}
    return {
        "sha256": data_sha256(annotations),
        "sources": {
            name: {"images": images[name], **origins[name].model_dump(exclude={"group_by", "laboratory", "use"})}
            for name in sorted(images)
        },
        "train_cells": {**named, "untyped_neutrophil": cells[UNTYPED_NEUTROPHIL], "untyped_wbc": cells[UNTYPED_WBC]},
        "train_images": "".join(sorted(image_key(row.path) for row in annotations)),
        "unreadable_images": sorted(path.name for path in left_out),
        **({"experiment": True} if experiment else {}),
    }


def data_sha256(annotations: list[Annotation]) -> str:
    """Hex SHA-256 over names, splits, boxes, labels and image bytes, for a bundle's provenance."""
    digest = sha256()
    for item in sorted(annotations, key=lambda a: (a.source, a.original)):
        digest.update(f"{item.source}/{item.original}/{item.split}/{item.um_per_px}".encode())
        digest.update(item.boxes_px.tobytes() + item.labels.tobytes() + item.path.read_bytes())
    return digest.hexdigest()


KEY_LENGTH = 8


def image_key(path: Path) -> str:
    """The beginning of the SHA-256 of an image's file: by it a model knows what it was trained on, under whatever name."""
    return sha256(path.read_bytes()).hexdigest()[:KEY_LENGTH]


def keys_of(joined: str) -> set[str]:
    """The image keys that `describe` wrote as one string."""
    return {joined[start : start + KEY_LENGTH] for start in range(0, len(joined), KEY_LENGTH)}


def code_version() -> str:
    """Version and, in a checkout, the commit (with a + when files differ from it)."""
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return f"{VERSION} ({done.stdout.strip()})"
    except (OSError, subprocess.SubprocessError):
        return VERSION
