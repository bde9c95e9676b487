"""Painters of what has no nucleus: red cells, platelets, smudges and artefacts. Same planes and masks as `cells`."""

import math

import cv2
import numpy as np

from edge.contracts.detections import Float32
from edge.virtual.settings import UM_PER_PX
from edge.virtual.shapes import polar_radius, relative_distance, soft_step, spots
from edge.virtual.stain import BLUE, HAEM, PURPLE
from edge.virtual.texture import Textures

Painted = tuple[Float32, Float32]
"""Dye planes [4, h, w] and mask [h, w]."""


def _canvas(radius_px: float, room: float = 3.0) -> int:
    return min(math.ceil(radius_px * room) | 1, 511)


def _blurred(mask: Float32, sigma_px: float) -> Float32:
    return cv2.GaussianBlur(mask, (0, 0), sigma_px).astype(np.float32, copy=False)


def paint_red_cell(rng: np.random.Generator, textures: Textures, pallor: float, ragged: float) -> Painted:
    """A biconcave disc; `ragged` is 1 on an ordinary slide; now and then crenated, a target cell, or a slit-shaped pallor."""
    radius = float(np.clip(rng.normal(3.65, 0.30), 2.7, 4.6)) / UM_PER_PX
    size = _canvas(radius, 2.9)
    odd = rng.random()
    outline = polar_radius(rng, ragged * abs(rng.normal(0.05, 0.03)), 1.0 + abs(rng.normal(0.0, 0.13)))
    if odd < 0.02:
        angle = np.linspace(0.0, 2.0 * math.pi, 256, endpoint=False)
        outline = outline + (0.05 * np.cos(int(rng.integers(9, 16)) * angle)).astype(np.float32)
    distance = relative_distance(size, radius, outline)
    body = soft_step(distance, 1.0, 2.6 / radius)
    slit = polar_radius(rng, 0.06, 2.6 if 0.03 <= odd < 0.05 else rng.uniform(1.0, 1.3))
    off = rng.normal(0.0, 0.05 * radius, 2)
    centre = relative_distance(size, radius * rng.uniform(0.40, 0.62), slit, (float(off[0]), float(off[1])))
    depth = float(np.clip(pallor + rng.normal(0.0, 0.16), 0.0, 0.85))
    thickness = 1.0 - depth * soft_step(centre, 0.95, rng.uniform(0.7, 1.3))
    if 0.06 <= odd < 0.08:
        thickness += 0.55 * depth * soft_step(centre, 0.45, 0.3)
    # The rounded rim is thinner at the very edge; a fine dark line outlines it.
    thickness *= 0.80 + 0.22 * soft_step(-np.abs(distance - 0.75).astype(np.float32), -0.18, 0.35)
    thickness += 0.16 * soft_step(np.abs(distance - 0.96).astype(np.float32), 0.03, 0.06)
    planes = np.zeros((4, size, size), np.float32)
    planes[HAEM] = body * thickness * rng.uniform(0.86, 1.12) * (1.0 + 0.02 * textures.cut(rng, "medium", size))
    return planes, body


def paint_platelet(rng: np.random.Generator, textures: Textures, diameter_um: tuple[float, float]) -> Painted:
    """Pale blue, ragged, with a cluster of purple granules; the giant ones are as large as red cells or larger."""
    radius = rng.uniform(*diameter_um) / UM_PER_PX / 2.0
    size = _canvas(radius, 3.6)
    distance = relative_distance(size, radius, polar_radius(rng, 0.14, rng.uniform(1.0, 1.5), 11))
    body = soft_step(distance, 1.0, 3.0 / radius)
    core = _blurred(soft_step(distance, rng.uniform(0.6, 0.9), 0.5), 0.8)
    grain = np.clip(0.55 + 0.75 * textures.cut(rng, "fine", size), 0.0, 1.8)
    planes = np.zeros((4, size, size), np.float32)
    planes[BLUE] = body * rng.uniform(0.22, 0.40) * (1.0 + 0.15 * textures.cut(rng, "medium", size))
    planes[PURPLE] = body * (0.06 + rng.uniform(0.35, 0.75) * core * grain)
    planes[HAEM] = body * 0.10
    return np.clip(planes, 0.0, 2.5), body


def paint_smudge(rng: np.random.Generator, textures: Textures) -> Painted:
    """A burst cell: a nucleus spread into a pale, frayed, structureless patch without cytoplasm."""
    radius = rng.uniform(5.0, 9.0) / UM_PER_PX
    size = _canvas(radius, 4.0)
    distance = relative_distance(size, radius, polar_radius(rng, 0.16, rng.uniform(1.0, 1.7)))
    # Strands pull the border outwards, but not without end.
    plain = distance
    distance = distance + 0.10 * textures.cut(rng, "coarse", size) + 0.16 * textures.cut(rng, "cloud", size)
    distance = distance + 2.0 * np.maximum(plain - 1.15, 0.0)
    spread = soft_step(distance, 0.92, rng.uniform(0.20, 0.42))
    holes = np.clip(1.0 - 0.22 * np.abs(textures.cut(rng, "cloud", size)), 0.4, 1.0)
    streaks = 1.0 + 0.22 * textures.cut(rng, "coarse", size) + 0.10 * textures.cut(rng, "fine", size)
    planes = np.zeros((4, size, size), np.float32)
    planes[PURPLE] = spread * holes * streaks * rng.uniform(0.26, 0.52)
    planes[HAEM] = spread * rng.uniform(0.0, 0.25)
    return np.clip(planes, 0.0, 2.5), spread


def paint_artefact(rng: np.random.Generator, textures: Textures) -> Painted:
    """Stain precipitate (a cluster of dark grains), a dust particle, or a scratch-like fibre."""
    kind = rng.choice(["precipitate", "dust", "fibre"], p=[0.55, 0.30, 0.15])
    radius = rng.uniform(1.8, 5.5) / UM_PER_PX
    size = _canvas(radius, 3.4)
    planes = np.zeros((4, size, size), np.float32)
    if kind == "precipitate":
        distance = relative_distance(size, radius, polar_radius(rng, 0.2, rng.uniform(1.0, 1.9)))
        room = soft_step(distance + 0.25 * textures.cut(rng, "coarse", size), 0.75, 0.5)
        count = int(rng.uniform(0.5, 1.6) * float(room.sum()) * UM_PER_PX**2) + 6
        grains = _blurred(spots(rng, room, count, (0.10 / UM_PER_PX, 0.42 / UM_PER_PX)), 0.6)
        body = np.clip(_blurred(grains, 1.5) * 1.8, 0.0, 1.0)
        planes[PURPLE] = grains * rng.uniform(0.9, 1.6) + 0.12 * body
        planes[BLUE] = grains * rng.uniform(0.0, 0.5)
        return np.clip(planes, 0.0, 2.5), body
    if kind == "dust":
        distance = relative_distance(size, radius * 0.75, polar_radius(rng, 0.25, rng.uniform(1.0, 1.8), 12))
        body = soft_step(distance, 1.0, 4.0 / radius)
        tone = np.clip(1.0 + 0.4 * textures.cut(rng, "coarse", size), 0.2, 2.0) * soft_step(-distance, -0.4, 1.4)
    else:
        canvas = np.zeros((size, size), np.uint8)
        heading = np.cumsum(rng.normal(0.0, 0.16, 40)) + rng.uniform(0.0, 2.0 * math.pi)
        walk = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0)
        walk = (walk - walk.mean(0)) / (np.abs(walk - walk.mean(0)).max() + 1e-6) * radius + size / 2.0
        cv2.polylines(canvas, [np.rint(walk * 16).astype(np.int32)], False, 255, int(rng.integers(3, 8)), cv2.LINE_AA, 4)
        body = _blurred(canvas.astype(np.float32) / 255.0, 1.0)
        tone = 1.0 + 0.2 * textures.cut(rng, "medium", size)
    dark = rng.uniform(0.4, 1.0)
    for dye, amount in ((HAEM, 1.6), (BLUE, 0.9), (PURPLE, 0.1)):
        planes[dye] = body * tone * amount * dark
    return np.clip(planes, 0.0, 2.5), np.asarray(body, np.float32)
