"""What stands beside the lines of a stage micrometer, or instead of them, as ink from 0 to 1."""

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""


def numerals(
    size: Size, apart_px: float, turned_deg: float, origin: tuple[float, float], height_px: float, lines: int
) -> Plane:
    """Figures, one every `apart_px`, beginning at `origin` (from the middle, across and along the lines)."""
    width, height = size
    side = 2 * max(size)
    sheet: NDArray[np.uint8] = np.zeros((side, side), np.uint8)
    thick = max(1, round(height_px / 9))
    n = int(min(side / apart_px / 2, max(lines / 20, 1))) + 1
    for number in range(-n, n + 1):
        at = (round(side / 2 + origin[0] + number * apart_px - 0.4 * height_px), round(side / 2 + origin[1]))
        cv2.putText(sheet, str(10 * abs(number)), at, cv2.FONT_HERSHEY_SIMPLEX, height_px / 22, 255, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -turned_deg, 1.0)
    turn[:, 2] += ((width - 1) / 2 - side / 2, (height - 1) / 2 - side / 2)
    return cv2.warpAffine(sheet, turn, size).astype(np.float64) / 255


def crossed(size: Size, spacing_px: float, duty: float, turned_deg: float) -> Plane:
    """Endless lines `spacing_px` apart."""
    return _endless(size, spacing_px, duty * spacing_px / 2, turned_deg, 3.7)


def second_scale(size: Size, spacing_px: float, turned_deg: float, rng: np.random.Generator) -> Plane:
    """An eyepiece's scale in the middle of the field: thin lines, each fifth longer, its figures over the lines."""
    across, along = _axes(size, turned_deg)
    number = np.round(across / spacing_px)
    length = np.where(number % 5 == 0, 60.0, 35.0)
    inside = np.clip(0.5 + along, 0, 1) * np.clip(0.5 + length - along, 0, 1) * (np.abs(number) <= 30)
    lines = np.clip(0.5 + 0.8 - np.abs(across - number * spacing_px), 0, 1) * inside
    figures = numerals(size, 10 * spacing_px, turned_deg, (0.0, float(rng.uniform(-10, 50))), 18.0, 60)
    return np.asarray(np.maximum(lines, figures), np.float64)


def barcode(size: Size, turned_deg: float, rng: np.random.Generator) -> Plane:
    """Bars and gaps of one to four modules, as on a slide's label."""
    across, along = _axes(size, turned_deg)
    module = float(rng.uniform(4, 14))
    bars = np.repeat(np.arange(600) % 2, rng.integers(1, 5, 600))
    ink = bars[np.clip((across / module).astype(int) + len(bars) // 2, 0, len(bars) - 1)]
    return np.asarray(ink * (np.abs(along) < rng.uniform(60, 400)), np.float64)


def red_cells(size: Size, diameter_px: float, rng: np.random.Generator) -> Plane:
    """Round cells with a pale middle, close to one another."""
    width, height = size
    ink: Plane = np.zeros((height, width))
    radius = diameter_px / 2
    for _ in range(int(0.5 * width * height / diameter_px**2)):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        own = radius * float(rng.normal(1, 0.06))
        cv2.circle(ink, at, max(1, round(own)), 0.45, -1, cv2.LINE_AA)
        cv2.circle(ink, at, max(1, round(0.4 * own)), 0.25, -1, cv2.LINE_AA)
    return ink


def _axes(size: Size, turned_deg: float) -> tuple[Plane, Plane]:
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x -= (width - 1) / 2
    y -= (height - 1) / 2
    turn = np.radians(turned_deg)
    return x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)


def _endless(size: Size, spacing_px: float, half_px: float, turned_deg: float, offset_px: float) -> Plane:
    across, _ = _axes(size, turned_deg)
    off = np.abs(across - offset_px - spacing_px * np.round((across - offset_px) / spacing_px))
    return np.asarray(np.clip(0.5 + half_px - off, 0, 1), np.float64)
