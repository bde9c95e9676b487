"""A training that starts from a bundle: whose child it is, and whether the child is worse than its parent."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import RootModel
from rich.console import Console

from edge.contracts.base import parse_json
from edge.contracts.bundle import Bundle, Thresholds, load_bundle, sha256_of
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.whole_file import read_whole, write_whole
from trainer.checkpoint import LAST, Checkpoint, save_checkpoint
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.groups import group_names
from trainer.data.readers.description import load_description
from trainer.evaluation.comparison import Comparison, as_lines, compare
from trainer.evaluation.measure import TEST, VAL
from trainer.evaluation.target import bundle_target, checkpoint_target
from trainer.weights.bundle_weights import started_from_bundle

ADAPT = "adapt"
"""The recipe of a training that starts from a bundle."""

COMPARED = "compared"
"""Key of a checkpoint's `data`: its `Comparison` with the bundle that it started from."""

COMPARISON = "comparison.json"

AS_WRITTEN = "preannotated.json"
"""In a data set's folder: the SHA-256 of each label file as `leuko-calib adapt` wrote it, by its path from there."""

NETWORK = ("architecture", "options", "scale", "top_k")
"""Keys of a recipe that are the bundle's."""

HOLD_BACK = "give --split-by grouped:0.3 to hold back whole slides"


class _Hashes(RootModel[dict[str, str]]):
    pass


@dataclass(frozen=True, slots=True)
class Parent:
    """A bundle and its weights."""

    bundle: Bundle
    checkpoint: Checkpoint

    @classmethod
    def of(cls, folder: Path) -> "Parent":
        """Raises `BundleError` for what is no whole bundle, and `DataError` as `started_from_bundle` does."""
        bundle = load_bundle(folder)
        return cls(bundle, started_from_bundle(bundle))

    def network(self) -> dict[str, object]:
        """What of a recipe follows from the bundle."""
        recipe = self.checkpoint.recipe.model_dump(mode="json")
        return {key: recipe[key] for key in NETWORK}

    def held_back(self, data: Path, root: Path, split_by: str, trained: Collection[str]) -> list[Annotation]:
        """What both are measured on: images of `test`, or of `val` where nothing is. Raises `ConfigError` when there are none,
        or a slide is on both sides."""
        rows = load_datasets(data, root, split_by)
        used = {row.split for row in rows} - set(trained)
        split = next((split for split in (TEST, VAL) if split in used), None)
        if split is None:
            raise ConfigError(
                f"no image of {data} is held back, and nobody could say whether the new weights are better; {HOLD_BACK}."
            )
        names = list(zip(group_names(rows, load_description(data).group_patterns), rows, strict=True))
        both = {name for name, row in names if row.split in trained} & {name for name, row in names if row.split == split}
        if both:
            raise ConfigError(f"images of {min(both)} are trained on and others of it held back; {HOLD_BACK}.")
        return [row for row in rows if row.split == split]


def require_parent(previous: Checkpoint | None, parent: Parent | None, last: Path) -> None:
    """Raises `DataError` when a training that goes on started from another bundle than `parent`, or from none."""
    if previous is None:
        return
    begun = previous.data.get("started_from", {}).get("bundle_id")
    given = parent.bundle.bundle_id if parent else None
    if begun != given:
        whose = f"bundle {begun}" if begun else "no bundle"
        raise DataError(f"{last} started from {whose}; go on with the same --start-from, or choose another --out.")


def compare_and_keep(parent: Parent | None, child: Checkpoint, held_back: Sequence[Annotation], out: Path, device: str) -> None:
    """Measure both, say it, and keep it in the checkpoint and beside it; nothing without a parent, or where it was done."""
    if parent is None or COMPARED in child.data:
        return
    found = compare(bundle_target(parent.bundle), checkpoint_target(child, thresholds_of(child), device), held_back)
    save_checkpoint(out / LAST, replace(child, data={**child.data, COMPARED: found.model_dump(mode="json")}))
    write_whole(out / COMPARISON, found.model_dump_json(indent=1) + "\n")
    say = Console(stderr=True, markup=False, highlight=False).print
    for line in as_lines(found, parent.bundle.manifest.name):
        say(line, soft_wrap=True)


def reviewed(data: Path, root: Path) -> str:
    """What to say of labels that are still as `leuko-calib adapt` wrote them; empty where there are none, or all were changed.

    Raises `ConfigError` when nobody changed any: such labels teach a model what it knows, and its faults.
    """
    total = unchanged = 0
    for folder in {root / dataset.folder for dataset in load_description(data).datasets}:
        listing = folder / AS_WRITTEN
        if not listing.is_file():
            continue
        hashes = parse_json(_Hashes, read_whole(listing), listing, DataError).root
        total += len(hashes)
        unchanged += sum((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in hashes.items())
    if total and unchanged == total:
        raise ConfigError(
            f"no label of {data} was changed since the model itself wrote it: correct them first, or remove {AS_WRITTEN} when "
            "somebody has looked at each and found it right."
        )
    return f"{unchanged} of {total} label files are as the model itself wrote them; were they looked at?" if unchanged else ""


def forget_comparison(out: Path) -> None:
    """Before a training begins anew in a folder that may hold another one's."""
    (out / COMPARISON).unlink(missing_ok=True)


def is_worse(out: Path) -> bool:
    """Whether the training in `out` was compared with its parent and found worse."""
    file = out / COMPARISON
    return file.is_file() and bool(Comparison.model_validate_json(file.read_bytes()).worse)


def require_no_worse(child: Checkpoint, path: Path) -> None:
    """Raises `DataError` when a child of a bundle is worse than it, or nobody knows."""
    if "bundle_id" not in child.data.get("started_from", {}):
        return
    name = child.data["started_from"]["bundle"]
    if COMPARED not in child.data:
        raise DataError(
            f"{path} was never compared with bundle {name}, which it started from; repeat its command with --resume, or "
            "export it with --although-worse."
        )
    if worse := child.data[COMPARED]["worse"]:
        raise DataError(
            f"{path} is worse than bundle {name}, which it started from ({'; '.join(worse)}); keep the parent, annotate more "
            "images and train again, or export it with --although-worse."
        )


def thresholds_of(checkpoint: Checkpoint) -> Thresholds:
    """Default thresholds of a training's bundle: those of the one that it started from, or the first ones."""
    stated = checkpoint.data.get("started_from", {}).get("thresholds")
    return Thresholds.model_validate(stated) if stated else Thresholds()
