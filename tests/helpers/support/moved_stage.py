"""A camera over a stage, both drawn: images of one slide at commanded positions, with a known matrix, backlash and dirt."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image
from edge.virtual.slide import SlideSettings, VirtualSlide

Floats = NDArray[np.float64]
UM_PER_PX = 0.13
SIZE_PX = (480, 380)


def turned(degrees: float, um_per_px: float = UM_PER_PX) -> Floats:
    angle = np.radians(degrees)
    return um_per_px * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def grid(columns: int = 4, rows: int = 4, step_um: tuple[float, float] = (30.0, 25.0), back: bool = False) -> Floats:
    """Positions in rows to and fro, around (0, 0); with `back` the same way again."""
    way = [
        (column * step_um[0], row * step_um[1])
        for row in range(rows)
        for column in (range(columns) if row % 2 == 0 else range(columns - 1, -1, -1))
    ]
    positions = np.array(way) - np.mean(way, axis=0)
    return np.vstack([positions, positions[-2::-1]]) if back else positions


@dataclass(frozen=True)
class DrawnStage:
    """What is true. `um_per_px` [2, 2] as in the profile; `dust` and `light` stay with the camera."""

    um_per_px: Floats
    backlash_um: tuple[float, float] = (0.0, 0.0)
    sigma_um: float = 0.1
    noise: float = 2.0
    dust: bool = False
    light: bool = False
    jpeg: int | None = None
    seed: int = 0

    def true_um(self, commanded_um: Floats) -> Floats:
        rng = np.random.default_rng([self.seed, 1])
        lost = [_lost(commanded_um[:, axis], self.backlash_um[axis]) for axis in (0, 1)]
        return commanded_um - np.stack(lost, axis=1) + rng.normal(0, self.sigma_um, commanded_um.shape)

    def images(self, commanded_um: Floats, world: Image | None = None) -> list[Image]:
        rng = np.random.default_rng([self.seed, 2])
        slide = drawn_slide() if world is None else world
        stays = self._stays(np.random.default_rng([self.seed, 3]))
        return [self._seen(slide, place, stays, rng) for place in self.true_um(commanded_um)]

    def _stays(self, rng: np.random.Generator) -> NDArray[np.float32]:
        width, height = SIZE_PX
        stays = np.ones((height, width), np.float32)
        if self.dust:
            for _ in range(40):
                centre = int(rng.integers(width)), int(rng.integers(height))
                cv2.circle(stays, centre, int(rng.integers(2, 14)), float(rng.uniform(0.3, 0.8)), -1)
            stays = np.asarray(cv2.GaussianBlur(stays, (0, 0), 1.5), np.float32)
        if self.light:
            y, x = np.mgrid[:height, :width]
            stays *= np.clip(1 - 0.5 * ((x - 200) ** 2 + (y - 150) ** 2) / 300**2, 0.2, 1).astype(np.float32)
        return stays

    def _seen(self, slide: Image, place_um: Floats, stays: NDArray[np.float32], rng: np.random.Generator) -> Image:
        to_slide = self.um_per_px / UM_PER_PX
        middle = np.array(slide.shape[1::-1]) / 2
        offset = place_um / UM_PER_PX + middle + to_slide @ (0.5 - np.array(SIZE_PX) / 2) - 0.5
        warp = np.hstack([to_slide, offset[:, None]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(slide, warp, SIZE_PX, flags=flags, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
        noisy = seen * stays[..., None] + rng.normal(0, self.noise, seen.shape)
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        if self.jpeg is None:
            return image
        stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])[1]
        return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)


def _lost(commanded_um: Floats, backlash_um: float) -> Floats:
    """What a screw with play falls short by; one that overshoots does so by its whole amount."""
    state, lost = 0.5, []
    for step in np.diff(commanded_um, prepend=commanded_um[:1]):
        if step and backlash_um > 0:
            state = float(np.clip(state + step / backlash_um, -0.5, 0.5))
        elif step:
            state = float(np.copysign(0.5, step))
        lost.append(backlash_um * state)
    return np.array(lost)


@lru_cache(maxsize=2)
def drawn_slide(seed: int = 5, side_um: float = 250.0) -> Image:
    """A piece of a smear, sharp and without noise, larger than a grid of moves."""
    side_px = round(side_um / UM_PER_PX)
    slide = VirtualSlide(SlideSettings(seed=seed, variants=4, noise=0.0, defocus_px=0.0))
    return slide.render(0, 0, side_px, side_px).image


def store(folder: Path, images: Sequence[Image], commanded_um: Floats, suffix: str = ".png") -> Path:
    """The images in `folder` and the table of their positions beside it; returns the table."""
    folder.mkdir(parents=True)
    lines = ["image,x_um,y_um"]
    for at, (image, (x_um, y_um)) in enumerate(zip(images, commanded_um.tolist(), strict=True)):
        assert cv2.imwrite(str(folder / f"m{at}{suffix}"), image)
        lines.append(f"m{at}{suffix},{x_um},{y_um}")
    table = folder.parent / f"{folder.name}.csv"
    table.write_text("\n".join(lines) + "\n")
    return table
