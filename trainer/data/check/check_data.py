"""Everything that can be said about data sets before they are trained on: counts, faults, duplicates, sizes."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from edge.contracts.base import Strict
from trainer.data.annotation import IGNORE, SPLITS, Annotation
from trainer.data.check.accounting import (
    Account,
    Ending,
    FolderAccount,
    folder_accounts,
    not_adding_up,
)
from trainer.data.check.cell_sizes import CELL_FACTOR, LEUKOCYTE_UM, cell_sizes, cells_off, sources_off, sources_unlikely
from trainer.data.check.unused import unused
from trainer.data.datasets import each_once, read_dataset
from trainer.data.faults import Listed
from trainer.data.groups import Fingerprint, fingerprint, group_names, same_pictures
from trainer.data.image_store import require_room
from trainer.data.provenance import require_origins
from trainer.data.readers.class_map import LABEL_NAMES
from trainer.data.readers.description import Dataset, load_description
from trainer.data.source_files import read_image
from trainer.data.split import divide
from trainer.data.split_plan import parse_plan

FindingKind = Literal[
    "image", "labels", "class", "box", "name", "origin", "duplicate", "near_duplicate", "group", "scale", "size", "account"
]


class Finding(Strict):
    """One sentence about one file (or source). Errors stop a training or spoil a test; warnings want a look."""

    severity: Literal["error", "warning"]
    kind: FindingKind
    file: str
    sentence: str


class Part(Strict):
    """What one source has in one split."""

    source: str
    split: str
    images: int
    images_without_cells: int
    cells: dict[str, int]


class CheckReport(Strict):
    """`repeated` images are in the data several times under one name and used once.

    `accounts` say what became of every image, file of labels and box in the folders.
    """

    description: str
    split_by: str
    repeated: int
    parts: tuple[Part, ...]
    accounts: tuple[Account, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Literal["error", "warning"]) -> int:
        """Findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)


def check_data(
    description: Path, root: Path, split_by: str = "given", um_per_px: float = 0.13
) -> tuple[CheckReport, list[Annotation]]:
    """Read everything, to the end, and look at every pixel; the report, and the annotations of what could be read.

    `um_per_px` is the scale of the model that they are for. Raises `DataError` when the description itself cannot be used,
    `ConfigError` for an unknown split.
    """
    plan = parse_plan(split_by)
    content = load_description(description)
    faults = Listed()
    with faults.of(description):
        require_origins(description)
    read: list[Annotation] = []
    for dataset in content.datasets:
        with faults.of(root / dataset.folder):
            read += read_dataset(dataset, description, root, faults)
    before = len(faults.found)
    once = each_once(read, faults)
    repeated = len(read) - len(once) - (len(faults.found) - before)
    rows: list[Annotation] = []
    prints: list[Fingerprint] = []
    for row in once:
        with faults.of(row.path):
            read_image(row.path)
            prints.append(fingerprint(row.path))
            rows.append(row)
            require_room(row, um_per_px)
    rows = divide(rows, plan, content.group_patterns, faults) if rows else []
    names = group_names(rows, content.group_patterns, faults)
    ending = Ending(rows, {fault.file for fault in faults.found}, faults.book)
    folders = folder_accounts(content.datasets, root, ending)
    accounts = tuple(folder.account() for folder in folders)
    broken = [
        Finding(severity="error", kind=fault.kind, file=str(fault.file), sentence=fault.sentence)
        for fault in dict.fromkeys(faults.found)
    ]
    report = CheckReport(
        description=str(description),
        split_by=split_by,
        repeated=repeated,
        parts=tuple(_parts(rows)),
        accounts=accounts,
        findings=(
            *broken,
            *_unused(folders, content.datasets, root, ending),
            *_not_adding_up(accounts, ending),
            *_duplicates(rows, prints),
            *_parted(rows, names, content.group_patterns),
            *_sizes(rows),
        ),
    )
    return report, rows


def _unused(folders: Sequence[FolderAccount], datasets: Sequence[Dataset], root: Path, ending: Ending) -> Iterator[Finding]:
    for each in unused(folders, datasets, root, ending.book):
        severity: Literal["error", "warning"] = "error" if each.spoils else "warning"
        yield Finding(severity=severity, kind=each.kind, file=str(each.path), sentence=each.sentence)


def _not_adding_up(accounts: Sequence[Account], ending: Ending) -> Iterator[Finding]:
    for folder, sentence in not_adding_up(accounts, ending):
        yield Finding(severity="error", kind="account", file=folder, sentence=sentence)


def _parts(rows: Sequence[Annotation]) -> Iterator[Part]:
    groups: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for row in rows:
        groups[row.source, row.split].append(row)
    for source, split in sorted(groups, key=lambda key: (key[0], SPLITS.index(key[1]))):
        members = groups[source, split]
        cells = Counter(label for row in members for label in row.labels.tolist())
        yield Part(
            source=source,
            split=split,
            images=len(members),
            images_without_cells=sum((row.labels == IGNORE).all() for row in members),
            cells={name: cells[label] for label, name in LABEL_NAMES.items() if cells[label]},
        )


def _duplicates(rows: Sequence[Annotation], prints: Sequence[Fingerprint]) -> Iterator[Finding]:
    digests = [hashlib.sha256(row.path.read_bytes()).digest() for row in rows]
    for i, j in same_pictures(prints):
        one, other = rows[i], rows[j]
        same = digests[i] == digests[j]
        leaks = one.split != other.split
        advice = f"{one.split} and {other.split} share it: divide with --split-by grouped or fold" if leaks else "keep one"
        yield Finding(
            severity="error" if same and leaks else "warning",
            kind="duplicate" if same else "near_duplicate",
            file=str(other.path),
            sentence=f"{other.path} {'is a copy of' if same else 'shows the same as'} {one.path}; {advice}.",
        )


def _parted(rows: Sequence[Annotation], names: Sequence[str], sources: Iterable[str]) -> Iterator[Finding]:
    for source in sorted(sources):
        splits: dict[str, set[str]] = defaultdict(set)
        for row, name in zip(rows, names, strict=True):
            if row.source == source:
                splits[name].add(row.split)
        parted = [name for name, where in sorted(splits.items()) if len(where) > 1]
        if parted:
            sentence = (
                f"{len(parted)} of {len(splits)} slides or fields of {source} are in several splits, as {parted[0]}; "
                "divide with --split-by grouped or fold to test on slides that were not trained on."
            )
            yield Finding(severity="warning", kind="group", file=source, sentence=sentence)


def _sizes(rows: Sequence[Annotation]) -> Iterator[Finding]:
    sizes = cell_sizes(rows)
    for source, factor in sources_off(sizes):
        sentence = (
            f"the cells of {source} are {factor:.2f} times as large as those of its classes elsewhere; measure its um_per_px."
        )
        yield Finding(severity="warning", kind="scale", file=source, sentence=sentence)
    for source, median in sources_unlikely(sizes):
        sentence = (
            f"the leukocytes of {source} measure {median:.1f} um (median), which in a smear is {LEUKOCYTE_UM[0]:g} to "
            f"{LEUKOCYTE_UM[1]:g}; measure its um_per_px."
        )
        yield Finding(severity="warning", kind="scale", file=source, sentence=sentence)
    for size, median in cells_off(sizes):
        path, name = rows[size.row].path, LABEL_NAMES[size.label]
        sentence = (
            f"{path}: the {name} in box {size.cell + 1} measures {size.side_um:.1f} um, over {CELL_FACTOR:g} times off the "
            f"{median:.1f} um of {size.source}'s others; look at its box and its class."
        )
        yield Finding(severity="warning", kind="size", file=str(path), sentence=sentence)
