"""Paints one nucleated cell from its recipe as dye planes: float32 [4, h, w], amounts of the four dyes."""

import math

import cv2
import numpy as np

from edge.contracts.detections import Float32
from edge.virtual.cell_recipes import Granules, Recipe
from edge.virtual.settings import UM_PER_PX
from edge.virtual.shapes import nucleus_mask, polar_radius, relative_distance, soft_step, spots
from edge.virtual.stain import BLUE, EOSIN, HAEM, PURPLE
from edge.virtual.texture import Textures


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


def paint_cell(rng: np.random.Generator, recipe: Recipe, textures: Textures) -> tuple[Float32, Float32]:
    """Dye planes [4, h, w] and the cell's mask [h, w] on a square canvas with some room around the cell."""
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
