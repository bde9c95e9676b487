"""Paints one cell as dye planes: float32 [4, h, w], amounts of the four dyes.

Cells with a nucleus from their recipe; red cells, platelets, smudges and artefacts each by a painter of their own.
"""

import math

import cv2
import numpy as np

from edge.contracts.detections import Float32
from edge.virtual.cell_recipes import Granules, Recipe
from edge.virtual.settings import UM_PER_PX
from edge.virtual.shapes import Textures, nucleus_mask, polar_radius, relative_distance, soft_step, spots
from edge.virtual.stain import BLUE, EOSIN, HAEM, PURPLE

Painted = tuple[Float32, Float32]
"""Dye planes [4, h, w] and the cell's mask [h, w], on a square canvas with some room around the cell."""


def paint_cell(rng: np.random.Generator, recipe: Recipe, textures: Textures) -> Painted:
    """A cell with a nucleus, from its recipe."""
    radius = rng.uniform(*recipe.diameter_um) / UM_PER_PX / 2.0
    size = min(math.ceil(radius * 2.8) | 1, 511)
    outline = _outline(rng, recipe)
    distance = relative_distance(size, radius, outline)
    body = soft_step(distance, 1.0, rng.uniform(2.2, 4.0) / radius)

    share = rng.uniform(*recipe.nucleus_share)
    offset = radius * (1.0 - share) * recipe.offset_share * rng.uniform(0.2, 1.0)
    kind = recipe.nuclei[int(rng.integers(len(recipe.nuclei)))]
    nucleus = nucleus_mask(rng, kind, size, radius * share, offset) * soft_step(distance, 0.98, 2.4 / radius)

    cytoplasm = 1.0 + recipe.mottling * textures.cut(rng, "medium", size) + 0.10 * textures.cut(rng, "cloud", size)
    cytoplasm *= 0.88 + 0.22 * np.minimum(distance * distance, 1.0)
    if recipe.hof:
        # The pale Golgi zone lies on the side of the nucleus where the cytoplasm is widest.
        side = nucleus_mask(rng, "round", size, radius * 0.42, 0.0) * (1.0 - nucleus)
        cytoplasm *= 1.0 - recipe.hof * _spread(side, 0.10 * radius) - 0.5 * recipe.hof * _spread(nucleus, 0.09 * radius)
    vacuoles = int(rng.integers(recipe.vacuoles[0], recipe.vacuoles[1] + 1))
    hole = np.zeros_like(body)
    if vacuoles:
        hole = _blurred(spots(rng, body * (1.0 - 0.8 * nucleus), vacuoles, (0.25 / UM_PER_PX, 0.65 / UM_PER_PX)), 0.7)
        cytoplasm *= 1.0 - 0.8 * hole
    strength = math.exp(rng.normal(0.0, 0.13))
    border = soft_step(-distance, -0.80, 0.45) * recipe.rim

    planes = np.zeros((4, size, size), np.float32)
    for dye, amount in enumerate(recipe.cytoplasm):
        planes[dye] = amount * strength * cytoplasm
    planes[BLUE] += border * cytoplasm
    # A thin line of membrane, seen edge-on.
    planes[PURPLE] += 0.06 * soft_step(np.abs(distance - 0.97).astype(np.float32), 0.03, 0.05)
    purple, blue = _nucleus_dyes(rng, recipe, textures, nucleus)
    planes *= 1.0 - nucleus
    planes[PURPLE] += nucleus * purple * (1.0 - 0.35 * hole)
    planes[BLUE] += nucleus * blue
    planes[HAEM] += nucleus * 0.05
    for granules in recipe.granules:
        _add_granules(rng, granules, textures, planes, (body, nucleus))
    planes[EOSIN] = np.maximum(planes[EOSIN], 0.0)
    planes *= body
    return np.clip(planes, 0.0, 2.5), body


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


def _blurred(mask: Float32, sigma_px: float) -> Float32:
    return cv2.GaussianBlur(mask, (0, 0), sigma_px).astype(np.float32, copy=False)


def _spread(mask: Float32, sigma_px: float) -> Float32:
    # A box is as good as a Gaussian where nobody sees its shape, and does not slow down with its size.
    side = round(3.5 * sigma_px) | 1
    return cv2.blur(mask, (side, side)).astype(np.float32, copy=False)


def _outline(rng: np.random.Generator, recipe: Recipe) -> Float32:
    outline = polar_radius(rng, recipe.irregularity, rng.uniform(*recipe.elongation))
    angle = np.linspace(0.0, 2.0 * math.pi, len(outline), endpoint=False)
    for _ in range(int(rng.integers(recipe.scallops[0], recipe.scallops[1] + 1))):
        away = np.angle(np.exp(1j * (angle - rng.uniform(0.0, 2.0 * math.pi))))
        outline = outline - rng.uniform(0.08, 0.22) * np.exp(-((away / rng.uniform(0.25, 0.45)) ** 2)).astype(np.float32)
    if recipe.fringe and rng.random() < 0.4:
        ripple = np.maximum(rng.normal(size=len(outline)), 0.0).astype(np.float32)
        outline = outline + recipe.fringe * 2.5 * cv2.GaussianBlur(ripple[None], (0, 0), 2.5)[0]
    return np.asarray(outline, np.float32)


def _add_granules(
    rng: np.random.Generator, granules: Granules, textures: Textures, planes: Float32, masks: tuple[Float32, Float32]
) -> None:
    """Paint one kind of granules onto `planes`; `masks` are the cell's body and its nucleus."""
    body, nucleus = masks
    room = body if granules.over_nucleus else body * (1.0 - nucleus)
    area_um2 = float(room.sum()) * UM_PER_PX**2
    count = int(rng.poisson(rng.uniform(*granules.per_um2) * area_um2))
    low, high = granules.radius_um
    mask = spots(rng, room, count, (low / UM_PER_PX, high / UM_PER_PX)) * body
    if not granules.over_nucleus:
        mask *= 1.0 - 0.85 * nucleus
    mask = _blurred(mask, 0.55) * granules.cover
    # Granules lie at different depths: some sharp and dark, some pale.
    strength = 1.03 + 0.10 * textures.cut(rng, "fine", mask.shape[0])
    for dye, amount in enumerate(granules.dyes):
        planes[dye] += mask * (amount * strength - planes[dye]) * (1.0 if amount or not granules.over_nucleus else 0.3)


def _nucleus_dyes(rng: np.random.Generator, recipe: Recipe, textures: Textures, nucleus: Float32) -> tuple[Float32, Float32]:
    """Purple and blue amounts within the nucleus."""
    size = nucleus.shape[0]
    clump = textures.cut(rng, recipe.grain, size)
    # Clumps have edges; squashing the noise gives chromatin and parachromatin instead of clouds.
    chromatin = np.tanh(1.3 * clump) + 0.55 * textures.cut(rng, "fine", size)
    purple = rng.uniform(*recipe.chromatin) * (1.0 + recipe.clumping * chromatin)
    membrane = np.clip(nucleus - _blurred(nucleus, 2.0), 0.0, 1.0)
    purple += 0.45 * membrane
    blue = np.full_like(purple, 0.10)
    count = int(rng.integers(recipe.nucleoli[0], recipe.nucleoli[1] + 1))
    if count:
        inner = _spread(nucleus, 4.0) - 0.3
        pale = _blurred(spots(rng, inner, count, (0.6 / UM_PER_PX, 1.3 / UM_PER_PX)), 1.0)
        ring = np.clip(_blurred(pale, 1.5) - 0.6 * pale, 0.0, 1.0)
        purple = purple * (1.0 - 0.42 * pale) + 0.15 * ring
        blue = blue + 0.30 * pale
    return np.asarray(purple, np.float32), np.asarray(blue, np.float32)


def _canvas(radius_px: float, room: float = 3.0) -> int:
    return min(math.ceil(radius_px * room) | 1, 511)
