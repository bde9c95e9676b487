"""Every image, file of labels and box of the data sets' folders, and what became of it: the sums must match.

What is there is counted on the disk, without the readers; what is used is counted in the annotations that a training would get.
Between the two lies what the readers noted (`trainer/data/account.py`). Whatever none of them explains is a finding.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.contracts.base import Strict
from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole
from trainer.data.account import Book, Fate, Key
from trainer.data.annotation import Annotation
from trainer.data.readers.description import ClassFoldersDataset, CocoDataset, Dataset, VocDataset
from trainer.data.readers.layout import LeftOut
from trainer.data.readers.xml_text import read_xml
from trainer.data.readers.yolo_names import is_labels
from trainer.data.source_files import PICTURES, files_under, is_image, is_stray


class Sum(Strict):
    """`found` are on the disk; `used` and the numbers of `not_used`, by reason, add up to it."""

    found: int
    used: int
    not_used: dict[str, int]


class Account(Strict):
    """What one folder holds: its images, its files of labels, and the boxes in them."""

    folder: str
    images: Sum
    label_files: Sum
    boxes: Sum


@dataclass
class Ending:
    """How the reading ended: annotations that are used, files that were named as faulty, and the readers' notes."""

    rows: Sequence[Annotation]
    faulty: Collection[Path]
    book: Book
    used: frozenset[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.used = frozenset(row.path for row in self.rows)

    def of_image(self, path: Path) -> Fate | None:
        """What became of an image that a reader took up or named; None if none did."""
        if path in self.used:
            return Fate.USED
        if path in self.book.repeated:
            return Fate.REPEATED
        if path in self.faulty:
            return Fate.FAULTY
        return Fate.UNEXPLAINED if path in self.book.images else None


class FolderAccount:
    """One folder, with all data sets that are read from it."""

    def __init__(self, folder: Path, datasets: Sequence[Dataset], others: Collection[Path], ending: Ending) -> None:
        """`others` are folders of other data sets: what lies in them is counted there."""
        self.folder, self._ending = folder, ending
        # A data set that could not be begun, for want of its class map: nothing can be said of a single file.
        self._is_unread = folder in ending.faulty
        # Nor of an image that a file of annotations may list of which nothing could be read.
        read = {labels for labels, _ in ending.book.images.values()}
        self._is_list_unread = any(
            path.suffix.lower() == ".json" and folder in path.parents and path not in read for path in ending.faulty
        )
        self._left_out = LeftOut(folder, tuple(entry for dataset in datasets for entry in dataset.leave_out))
        self._formats = {_suffix(dataset) for dataset in datasets}
        files = [path for path in files_under(folder) if not any(other in path.parents for other in others)]
        self.images = {path: self._image(path, datasets) for path in files if path.suffix.lower() in PICTURES}
        tallies = ending.book.tallies
        self._keys: dict[Path, list[Key]] = defaultdict(list)
        for key in tallies:
            self._keys[key[0]].append(key)
        self._image_of: dict[Key, list[Path]] = defaultdict(list)
        for image, key in ending.book.images.items():
            self._image_of[key].append(image)
        self.label_files: dict[Path, Fate] = {}
        self.boxes: Counter[Fate] = Counter()
        for path in files:
            if path not in self.images and (path in self._keys or path in ending.book.loose or _is_labels(path)):
                self.label_files[path] = fate = self._labels(path)
                self.boxes.update(self._boxes(path, fate))
        for path in self.images:
            self.boxes.update(self._noted(path))

    def account(self) -> Account:
        """The sums."""
        return Account(
            folder=str(self.folder),
            images=_sum(Counter(self.images.values())),
            label_files=_sum(Counter(self.label_files.values())),
            boxes=_sum(self.boxes),
        )

    def _image(self, path: Path, datasets: Sequence[Dataset]) -> Fate:
        fate = self._ending.of_image(path)
        if fate is Fate.USED or fate is Fate.REPEATED:
            return fate
        if self._left_out.has(path):
            return Fate.LEFT_OUT
        if fate is not None or self._is_unread:
            return fate or Fate.FAULTY
        if is_stray(path):
            return Fate.STRAY
        if not is_image(path):
            return Fate.SUFFIX
        unlisted = Fate.FAULTY if self._is_list_unread else Fate.UNLISTED
        return unlisted if all(isinstance(dataset, CocoDataset) for dataset in datasets) else Fate.UNREAD

    def _labels(self, path: Path) -> Fate:
        keys = self._keys.get(path, ())
        fates = {self.images.get(image) or self._ending.of_image(image) for key in keys for image in self._image_of[key]}
        for fate in (Fate.USED, Fate.REPEATED, Fate.LEFT_OUT, Fate.UNEXPLAINED):
            if fate in fates:
                return fate
        if self._left_out.has(path):
            return Fate.LEFT_OUT
        if fates or self._is_unread or path in self._ending.faulty or path in self._ending.book.loose:
            return Fate.FAULTY
        return Fate.NO_IMAGE if path.suffix.lower() in self._formats else Fate.OTHER_FORMAT

    def _boxes(self, path: Path, fate: Fate) -> Counter[Fate]:
        """Those of one file of labels; what its tallies do not hold was not read, for the reason that the file was not."""
        result: Counter[Fate] = Counter()
        if fate is Fate.OTHER_FORMAT:
            return result
        for key in self._keys.get(path, ()):
            result.update(self._noted(path, key))
        result[Fate.FAULTY] += self._ending.book.loose.get(path, 0)
        rest = raw_boxes(path) - result.total()
        result[Fate.UNEXPLAINED if fate is Fate.USED or rest < 0 else fate] += abs(rest)
        return result

    def _noted(self, path: Path, key: Key | None = None) -> Counter[Fate]:
        """What the readers noted of one image's boxes; those of an image that is not used share its fate."""
        key = key or (path, "")
        tally = Counter(self._ending.book.tallies.get(key, Counter()))
        fates = {
            self.images.get(image) or self._ending.of_image(image) or Fate.UNEXPLAINED for image in self._image_of.get(key, ())
        }
        if fates and Fate.USED not in fates:
            kept = tally.pop(Fate.USED, 0)
            tally[min(fates, key=list(Fate).index)] += kept
        return tally


def folder_accounts(datasets: Sequence[Dataset], root: Path, ending: Ending) -> list[FolderAccount]:
    """One for each folder that data sets are read from. Folders that are not there are left out: that was said elsewhere."""
    by_folder: dict[Path, list[Dataset]] = defaultdict(list)
    for dataset in datasets:
        by_folder[root / dataset.folder].append(dataset)
    result: list[FolderAccount] = []
    for folder, members in by_folder.items():
        others = [other for other in by_folder if folder in other.parents]
        try:
            result.append(FolderAccount(folder, members, others, ending))
        except (DataError, OSError):
            continue
    return result


def not_adding_up(accounts: Sequence[Account], ending: Ending) -> Iterator[tuple[str, str]]:
    """Folder and sentence, where the sums do not match: by a defect, for whatever is wrong with data has a reason."""
    for account in accounts:
        for what, one in (("images", account.images), ("label files", account.label_files), ("boxes", account.boxes)):
            if count := one.not_used.get(Fate.UNEXPLAINED.value, 0):
                yield (
                    account.folder,
                    f"{count} {what} of {account.folder} are not used {Fate.UNEXPLAINED.value}; report this defect.",
                )
    folders = {Path(account.folder) for account in accounts}
    inside = [row for row in ending.rows if folders.intersection(ending.book.images[row.path][0].parents)]
    in_annotations = sum(len(row.labels) - ending.book.added.get(row.path, 0) for row in inside)
    counted = sum(account.boxes.used for account in accounts)
    if in_annotations != counted:
        yield "", f"{counted} boxes were read to be used and {in_annotations} are; report this defect."


def unused_labels(account: FolderAccount) -> Iterator[tuple[Path, str]]:
    """Each file of labels of the folder's format that no image has, with a sentence."""
    by_stem: Mapping[str, list[Path]] = defaultdict(list)
    for image, fate in account.images.items():
        if fate in {Fate.UNREAD, Fate.UNLISTED, Fate.SUFFIX, Fate.FAULTY}:
            by_stem[image.stem.casefold()].append(image)
    for path, fate in account.label_files.items():
        if fate is not Fate.NO_IMAGE:
            continue
        likely = by_stem.get(path.stem.casefold(), [])
        if path.suffix.lower() == ".json":
            yield path, f"file of annotations {path} is not used; name it under `annotations`, or list it under `leave_out`."
        elif likely and not is_image(likely[0]):
            known = f"a suffix that is not read, {likely[0].suffix}"
            yield path, f"label file {path} is not used: its image {likely[0]} has {known}; save that as PNG or JPEG."
        elif likely and account.images[likely[0]] is Fate.FAULTY:
            yield (
                path,
                f"label file {path} is not used, as {likely[0]} of the same name is not; mend what is said of that, or list "
                "the file under `leave_out`.",
            )
        elif likely:
            yield (
                path,
                f"label file {path} is not used: its image {likely[0]} is in a folder that is not read; move it to where the "
                "others are, name the folder in data.yaml, or list it under `leave_out`.",
            )
        else:
            yield path, f"label file {path} has no image; copy the image, or list the file under `leave_out`."


def unused_images(account: FolderAccount, of_class_folders: bool) -> Iterator[tuple[bool, Path, str]]:
    """Whether it is an error, folder and sentence, for images that no reader took up, together by folder and reason."""
    groups: dict[tuple[Path, Fate], list[Path]] = defaultdict(list)
    for path, fate in account.images.items():
        if fate in {Fate.UNREAD, Fate.UNLISTED, Fate.SUFFIX, Fate.STRAY}:
            groups[path.parent, fate].append(path)
    for (folder, fate), paths in sorted(groups.items()):
        count = "1 image" if len(paths) == 1 else f"{len(paths)} images"
        be, they, them = ("is", "it is", "it") if len(paths) == 1 else ("are", "they are", "them")
        sentence = f"{count} of {folder}, as {paths[0].name}, {be} {fate.value} and {be} not used"
        advice = f"move {them}, or list {them} under `leave_out`"
        if fate is Fate.STRAY:
            advice = f"{they} no image{'' if len(paths) == 1 else 's'}"
        yield of_class_folders and fate is not Fate.STRAY, folder, f"{sentence}; {advice}."


def overlooked_labels(account: FolderAccount, book: Book) -> Iterator[tuple[Path, str]]:
    """Labels in another format of images that are taken for ones without cells."""
    empty = {
        image.stem: image for image, (labels, _) in book.images.items() if account.images.get(image) and not labels.exists()
    }
    for path, fate in account.label_files.items():
        if fate is Fate.OTHER_FORMAT and path.stem in empty:
            yield path, f"{path} has labels in another format for {empty[path.stem]}, which is read as an image without cells."


def raw_boxes(path: Path) -> int:
    """How many boxes a file of labels holds, counted without its reader; 0 for one that cannot be read."""
    try:
        suffix = path.suffix.lower()
        if suffix == ".xml":
            return len(read_xml(path).findall("object"))
        content = read_whole(path)
        if suffix == ".json":
            return len(re.findall(rb'"bbox"\s*:', content))
        return sum(bool(line.strip()) for line in content.splitlines())
    except (OSError, DataError):
        return 0


def _suffix(dataset: Dataset) -> str:
    if isinstance(dataset, ClassFoldersDataset):
        return ""
    return ".xml" if isinstance(dataset, VocDataset) else ".json" if isinstance(dataset, CocoDataset) else ".txt"


def _is_labels(path: Path) -> bool:
    """Whether a file holds labels in any of the formats."""
    if is_stray(path):
        return False
    suffix = path.suffix.lower()
    try:
        if suffix == ".txt":
            return is_labels(path)
        return (suffix == ".xml" and b"<annotation" in read_whole(path)) or (
            suffix == ".json" and b'"bbox"' in read_whole(path)
        )
    except OSError:
        return True


def _sum(fates: Counter[Fate]) -> Sum:
    counts = {fate.value: fates[fate] for fate in Fate if fates[fate] and fate is not Fate.USED}
    return Sum(found=fates.total(), used=fates[Fate.USED], not_used=counts)
