"""The first description of a folder of annotated images: format and classes are found, the rest is left to a person."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge.contracts.cells import CELLS, INDEX
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.whole_file import read_whole, write_whole
from trainer.data.annotation import SPLITS
from trainer.data.readers.class_map import BACKGROUND, SPECIAL
from trainer.data.readers.layout import SPLIT_FOLDERS
from trainer.data.readers.xml_text import read_xml
from trainer.data.readers.yolo_names import is_labels, yolo_names
from trainer.data.source_files import files_under, is_image, is_stray

TO_CHOOSE = "CHOOSE"
"""Stands where a person has to decide; every reader refuses it with a sentence that names its place."""

Found = tuple[str, dict[str, str], list[str]]
"""A format, the keys that only it has, and the class names."""


def write_description(folder: Path, out: Path, um_per_px: float | None) -> tuple[Path, Path, str, list[str]]:
    """Write a description and a class map for `folder`; their paths, the format, and the class names that nobody recognised.

    Raises `DataError` when the folder has no layout that is read, `ConfigError` when a file is there already.
    """
    kind, keys, names = found_in(folder)
    class_map = out.with_name(f"{out.stem}_classes.yaml")
    for path in (out, class_map):
        if path.exists():
            raise ConfigError(f"{path} is there already; choose another --out, or edit it.")
    choices = {name: guess(name) for name in names}
    more = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    source = json.dumps(folder.resolve().name)
    description = (
        f"datasets:\n  - format: {kind}\n    folder: {source}\n    class_map: {class_map.name}\n    source: {source}\n"
        f"    um_per_px: {um_per_px or TO_CHOOSE}  # measure it: leuko-calib pixel-size\n{more}"
        f'sources:\n  {source}: {{origin: "{TO_CHOOSE}: whose images these are", licence: "{TO_CHOOSE}"}}\n'
    )
    words = f"# One of {', '.join(INDEX)},\n# {', '.join(SPECIAL)} or {BACKGROUND}; see docs/training.md.\n"
    try:
        write_whole(out, description)
        write_whole(class_map, words + "".join(f"{json.dumps(k, ensure_ascii=False)}: {v}\n" for k, v in choices.items()))
    except OSError as problem:
        raise ConfigError(f"{out} cannot be written ({problem.strerror}); choose another --out.") from problem
    return out, class_map, kind, [name for name, choice in choices.items() if choice == TO_CHOOSE]


def guess(name: str) -> str:
    """The class that a source's name is, letter for letter but for case, blanks and plural; else `TO_CHOOSE`."""
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    known = {**{one: one for one in (*INDEX, *SPECIAL, BACKGROUND)}, **{cell.abbreviation.lower(): cell.name for cell in CELLS}}
    return known.get(plain) or known.get(plain.removesuffix("s")) or TO_CHOOSE


def found_in(folder: Path) -> Found:
    """What a folder holds. Raises `DataError`."""
    files = [path for path in files_under(folder) if not is_stray(path)]
    if listings := [path for path in files if path.suffix.lower() == ".json" and b'"bbox"' in read_whole(path)]:
        return _coco(folder, listings, files)
    if labels := [path for path in files if path.suffix.lower() == ".xml" and b"<annotation" in read_whole(path)]:
        names = {node.findtext("name", "").strip() for path in labels for node in read_xml(path).findall("object")}
        return "voc", {}, sorted(names - {""})
    if any(path.suffix.lower() == ".txt" and is_labels(path) for path in files):
        return "yolo", {}, list(dict.fromkeys(yolo_names(folder).values()))
    folders = sorted({path.relative_to(folder).parts[0] for path in files if is_image(path) and path.parent != folder})
    if folders and not any(is_image(path) and path.parent == folder for path in files):
        return "class_folders", {"shares": "{train: 0.8, test: 0.2}"}, folders
    raise DataError(
        f"{folder} holds no labels that are read: COCO JSON, PASCAL VOC XML, YOLO texts with a data.yaml, classes.txt or "
        "obj.names, or one folder of images a class."
    )


def _coco(folder: Path, listings: Iterable[Path], files: Iterable[Path]) -> Found:
    images = {path.name: path for path in files if is_image(path)}
    annotations: dict[str, str] = {}
    places: dict[str, str] = {}
    names: dict[str, None] = {}
    for path in listings:
        try:
            content = json.loads(read_whole(path).decode("utf-8-sig"))
            titles = {row["id"]: str(row["name"]) for row in content["categories"]}
            names.update(dict.fromkeys(titles[row["category_id"]] for row in content["annotations"]))
            first = str(content["images"][0]["file_name"]).replace("\\", "/")
        except (ValueError, KeyError, TypeError, IndexError) as problem:
            raise DataError(f"{path} is not COCO JSON ({type(problem).__name__}: {problem}); export it again.") from problem
        split = _split_of(path.relative_to(folder), annotations)
        annotations[split] = path.relative_to(folder).as_posix()
        image = images.get(first.rpartition("/")[2])
        place = image.parents[first.count("/")] if image is not None else path.parent
        places[split] = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else "."
    return "coco", {"annotations": json.dumps(annotations), "images": json.dumps(places)}, list(names)


def _split_of(path: Path, taken: Mapping[str, str]) -> str:
    """By a folder's or the file's name; `train` where neither says."""
    words = [word for part in path.parts for word in part.lower().replace(".", "_").replace("-", "_").split("_")]
    for split in SPLITS:
        if split not in taken and any(word.rstrip("0123456789") in SPLIT_FOLDERS[split] for word in words):
            return split
    if "train" in taken:
        raise DataError(f"nobody can tell of which split {path} is, beside {taken['train']}; write the description by hand.")
    return "train"
