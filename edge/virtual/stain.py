"""How dyes turn into colour: Beer-Lambert in three channels, with the differences between laboratories as data.

A cell is painted as amounts of four dyes. Transmission per channel is `glare + (1 - glare) * exp(-sum(amount * density))`, so
overlapping cells darken each other as they do on glass, and one painted cell can be shown in any laboratory's stain.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image

HAEM, PURPLE, BLUE, EOSIN = range(4)
"""Dyes: haemoglobin with eosin; chromatin (azure-eosin complex); basophilic cytoplasm; eosinophil granules."""

AMOUNT_STEPS = 100.0
"""Steps of the uint8 dye planes per unit amount: amounts from 0 to 2.55."""


@dataclass(frozen=True, slots=True)
class Stain:
    """Light of the empty slide (BGR, 0 to 255) and optical densities [4 dyes, 3 channels BGR] of a unit amount."""

    light_bgr: tuple[float, float, float]
    densities: tuple[tuple[float, float, float], ...]
    glare: float

    def transmission(self, dyes: Image) -> Image:
        """Dye planes uint8 [h, w, 4] to transmission uint8 [h, w, 3], 255 where nothing absorbs."""
        matrix = np.asarray(self.densities, np.float32).T / np.float32(AMOUNT_STEPS)
        density: Float32 = cv2.transform(dyes.astype(np.float32), matrix).astype(np.float32, copy=False)
        through = self.glare + (1.0 - self.glare) * np.exp(-density)
        return np.rint(255.0 * through).astype(np.uint8)


# Medians estimated on public smears of four laboratories (light, red cells, nuclei) and one set by eye for white light.
_LABORATORIES: tuple[Stain, ...] = (
    Stain((203, 228, 252), ((0.24, 0.38, 0.27), (0.45, 2.05, 1.25), (0.22, 0.72, 0.72), (0.62, 0.80, 0.12)), 0.04),
    Stain((173, 185, 220), ((0.29, 0.56, 0.39), (0.48, 1.85, 0.58), (0.22, 0.78, 0.62), (0.46, 0.80, 0.12)), 0.05),
    Stain((198, 204, 201), ((0.20, 0.28, 0.13), (0.04, 0.95, 0.52), (0.02, 0.42, 0.42), (0.30, 0.52, 0.06)), 0.06),
    Stain((195, 223, 180), ((0.38, 0.76, 0.04), (0.36, 1.45, 0.95), (0.16, 0.46, 0.42), (0.45, 0.85, 0.06)), 0.04),
    Stain((226, 226, 230), ((0.30, 0.45, 0.14), (0.34, 1.55, 0.95), (0.12, 0.56, 0.66), (0.52, 0.72, 0.06)), 0.05),
)


def draw_stain(rng: np.random.Generator, variation: float) -> Stain:
    """One laboratory's stain. `variation` 0 gives the first row of the table unchanged, 1 the spread seen between rows."""
    if variation == 0.0:
        return _LABORATORIES[0]
    first, second = rng.choice(len(_LABORATORIES), 2, replace=False)
    share = float(rng.uniform(0.0, 0.5))

    def blend(a: Float32, b: Float32, reference: Float32) -> Float32:
        mixed = (1.0 - share) * a + share * b
        return reference + min(variation, 1.0) * (mixed - reference)

    rows = [
        np.asarray(stain.densities, np.float32) for stain in (_LABORATORIES[first], _LABORATORIES[second], _LABORATORIES[0])
    ]
    lights = [
        np.asarray(stain.light_bgr, np.float32) for stain in (_LABORATORIES[first], _LABORATORIES[second], _LABORATORIES[0])
    ]
    strength = np.exp(rng.normal(0.0, 0.10 * variation, (4, 1)))
    hue = np.exp(rng.normal(0.0, 0.07 * variation, (4, 3)))
    overall = float(np.exp(rng.normal(0.0, 0.08 * variation)))
    densities = blend(*rows) * strength * hue * overall
    light = np.clip(blend(*lights) * np.exp(rng.normal(0.0, 0.03 * variation, 3)), 120.0, 253.0)
    return Stain(
        (float(light[0]), float(light[1]), float(light[2])),
        tuple((float(row[0]), float(row[1]), float(row[2])) for row in densities),
        float(rng.uniform(0.02, 0.07)),
    )
