"""Images of one drawn smear from a stage that moves, with a camera turned and scaled as told, and with backlash."""

import cv2
import numpy as np
from support.red_cell_fields import Smear, draw_smear

from calib.stage_moves import StageImage
from edge.contracts.detections import Image

FIELD_PX = (480, 360)
_BIG = Smear(diameter_px=40, cells=420, apart=1.05, width_px=1600, height_px=1400, noise=0, platelets=150)
_drawn: list[Image] = []


def moved(
    positions_um: list[tuple[float, float]],
    um_per_px: float = 0.13,
    turned_deg: float = 1.5,
    backlash_um: float = 0.0,
    seed: int = 0,
) -> list[StageImage]:
    """Images at stage positions; `backlash_um` is by how much each position is missed at random."""
    if not _drawn:
        _drawn.append(draw_smear(_BIG, 5))
    rng = np.random.default_rng(seed)
    turn = np.radians(turned_deg)
    rotate = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    found = []
    for number, (x_um, y_um) in enumerate(positions_um):
        real = np.array((x_um, y_um)) + rng.normal(0, backlash_um, 2)
        # A pixel of the field comes from there on the drawn smear, which is drawn at `um_per_px`.
        centre = np.array((800.0, 700.0)) + real / um_per_px
        offset = centre - rotate @ (np.array(FIELD_PX) / 2)
        matrix = np.column_stack((rotate, offset))
        field = cv2.warpAffine(_drawn[0], matrix, FIELD_PX, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        noisy = np.clip(field + rng.normal(0, 2, field.shape), 0, 255).astype(np.uint8)
        found.append(StageImage(f"{number}.png", noisy, x_um, y_um))
    return found
