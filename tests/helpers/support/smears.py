"""Small data sets drawn on the spot: discs on a plain ground, in the formats the trainer reads."""

from pathlib import Path

import cv2
import numpy as np

from edge.contracts.detections import Image

EMPTY, RED, NUCLEUS, CYTOPLASM = (215, 225, 240), (150, 155, 205), (120, 40, 80), (200, 150, 170)
Box = tuple[float, float, float, float]


def smear(width: int = 200, height: int = 180, cells: tuple[tuple[int, int, int], ...] = (), seed: int = 0) -> Image:
    """Red cells at random and leukocytes (x, y, radius) with a dark nucleus, slightly noisy."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), EMPTY, np.uint8)
    for x, y in rng.uniform((0, 0), (width, height), (14, 2)).astype(int).tolist():
        if all(np.hypot(x - cx, y - cy) > r + 24 for cx, cy, r in cells):
            cv2.circle(image, (x, y), 22, RED, -1)
    for x, y, radius in cells:
        cv2.circle(image, (x, y), radius, CYTOPLASM, -1)
        cv2.circle(image, (x, y), int(radius * 0.7), NUCLEUS, -1)
    return (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)


def write(path: Path, image: Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def voc(folder: Path, name: str, size: tuple[int, int], objects: list[tuple[str, Box]], split: str = "train") -> None:
    """One image's XML, its image if there is none yet, and its line in the split."""
    picture = folder / "JPEGImages" / f"{name}.jpg"
    if not picture.exists():
        write(picture, smear(*size))
    rows = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin><xmax>{b[2]}</xmax><ymax>{b[3]}</ymax>"
        "</bndbox></object>"
        for kind, b in objects
    )
    text = f"<filename>{name}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>{rows}"
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{text}</annotation>")
    sets = folder / "ImageSets" / "Main"
    sets.mkdir(parents=True, exist_ok=True)
    for one in ("train", "val", "test"):
        with (sets / f"{one}.txt").open("a") as stream:
            stream.write(f"{name}\n" if one == split else "")


def yolo(folder: Path, rows: list[tuple[str, str, str, str, list[tuple[int, Box]]]]) -> None:
    """A YOLO data set; rows are (split, image name, original name, types, [(class, x y w h)]). Source is always LAB."""
    (folder / "images").mkdir(parents=True)
    (folder / "data.yaml").write_text("names: [WBC, RBC, Platelets]\n")
    table = ["image,source,original_name,wbc_type,n_wbc"]
    for split, name, original, types, boxes in rows:
        write(folder / "images" / split / name, smear(200, 160))
        label = folder / "labels" / split / f"{Path(name).stem}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(f"{k} {' '.join(map(str, box))}\n" for k, box in boxes))
        table.append(f'{split}/{name},LAB,{original},"{types}",{sum(k == 0 for k, _ in boxes)}')
    for split in ("train", "val", "test"):
        if not (folder / "images" / split).exists():
            write(folder / "images" / split / f"{split}.jpg", smear(100, 100))
            label = folder / "labels" / split / f"{split}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("")
            table.append(f"{split}/{split}.jpg,LAB,{split}.jpg,,0")
    (folder / "types.csv").write_text("\n".join(table) + "\n")


CLASS_MAP = """\
WBC: untyped_wbc
RBC: background
Platelets: background
NEUTROPHIL: untyped_wbc
MONOCYTE: monocyte
BASOPHIL: basophil
"""
