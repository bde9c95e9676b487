"""What lies in the data sets' folders and no training sees: the part of `data check` that needs no pixel."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.data.account import Book
from trainer.data.annotation import Annotation
from trainer.data.check.accounting import (
    Ending,
    FolderAccount,
    folder_accounts,
    not_adding_up,
    overlooked_labels,
    unused_images,
    unused_labels,
)
from trainer.data.readers.description import ClassFoldersDataset, Dataset, load_description

_SHOWN = 3
"""Sentences that a training says; the others are counted."""


@dataclass(frozen=True, slots=True)
class Unused:
    """A file or folder that is not used and should be, or (where `spoils` is false) wants a look; `kind` as of a finding."""

    spoils: bool
    kind: Literal["image", "labels"]
    path: Path
    sentence: str


def unused(folders: Sequence[FolderAccount], datasets: Sequence[Dataset], root: Path, book: Book) -> Iterator[Unused]:
    """Labels without an image, or in a format that is not read, and images in no place that is read."""
    by_folder_names = {root / dataset.folder for dataset in datasets if isinstance(dataset, ClassFoldersDataset)}
    for folder in folders:
        for path, sentence in (*unused_labels(folder), *overlooked_labels(folder, book)):
            yield Unused(True, "labels", path, sentence)
        for spoils, path, sentence in unused_images(folder, folder.folder in by_folder_names):
            yield Unused(spoils, "image", path, sentence)


def unused_words(description: Path, root: Path, rows: Sequence[Annotation], left_out: Mapping[Path, str], book: Book) -> str:
    """The first of them in a line each, and the command that lists all; empty when everything is used.

    `rows` are all annotations that were read, of every split, and `book` the readers' notes. Folders are listed, nothing is
    decoded.
    """
    datasets, ending = load_description(description).datasets, Ending(rows, set(left_out), book)
    folders = folder_accounts(datasets, root, ending)
    lines = [each.sentence for each in unused(folders, datasets, root, book)]
    lines += [sentence for _, sentence in not_adding_up([folder.account() for folder in folders], ending)]
    if not lines:
        return ""
    more = f"and {len(lines) - _SHOWN} more; " if len(lines) > _SHOWN else ""
    listed = f"{more}`leuko-train data check --data {description} --root {root}` lists what is not used."
    return "\n".join(["", "not everything in the data sets' folders is used:", *lines[:_SHOWN], listed])
