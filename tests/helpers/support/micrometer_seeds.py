"""Random micrometer scenes by number: hard ones of every kind, and good ones as a careful person would take them."""

from dataclasses import replace

import numpy as np
from support.micrometer_scene import Scene


def random_scene(seed: int) -> Scene:
    """One of many scenes; most have a scale, and most scales have something against them."""
    rng = np.random.default_rng([seed, 71])

    def maybe(share: float, value: float) -> float:
        return value if rng.random() < share else 0.0

    unit = float(np.exp(rng.uniform(np.log(8), np.log(130))))
    short = float(rng.choice([8, 20, 40, 100, 250, 2000]))
    ratios = (1.0, float(rng.choice([1, 1.4, 3])), float(rng.choice([1, 1.9, 6])))
    return Scene(
        spacing_px=unit,
        duty=float(rng.uniform(0.08, 0.6)),
        ticks_px=(short, short * ratios[1], short * ratios[2]),
        rotation_deg=float(rng.choice([0, 90, rng.uniform(-5, 5), rng.uniform(-90, 90)])),
        top_px=-1000 if short == 2000 else float(rng.uniform(-280, 100)),
        offset_px=float(rng.uniform(0, unit)),
        lines=int(rng.choice([400, 400, 400, 30, 7, 0])),
        base_line=bool(rng.random() < 0.3),
        contrast=float(rng.choice([0.7, 0.7, 0.3, 0.08])),
        is_inverted=bool(rng.random() < 0.25),
        blur_px=float(rng.choice([0.5, 1, 2, 5])),
        noise=float(rng.choice([1, 3, 8])),
        light=maybe(0.3, float(rng.uniform(0.2, 1.0))),
        vignette=maybe(0.3, float(rng.uniform(0.2, 0.7))),
        dust=int(maybe(0.4, float(rng.integers(1, 40)))),
        scratches=int(maybe(0.3, float(rng.integers(1, 4)))),
        flicker=maybe(0.25, float(rng.uniform(0.01, 0.3))),
        flicker_px=float(rng.uniform(12, 150)),
        flicker_is_square=bool(rng.random() < 0.3),
        ghost=maybe(0.1, float(rng.uniform(0.2, 0.6))),
        field_stop=bool(rng.random() < 0.15),
        jpeg=int(maybe(0.25, float(rng.integers(50, 95)))),
    )


def crowded_scene(seed: int) -> Scene:
    """One of many scenes with more than lines and dirt in them: figures, grids, second scales, bar codes, cells."""
    rng = np.random.default_rng([seed, 72])

    def maybe(share: float, value: float) -> float:
        return value if rng.random() < share else 0.0

    unit = float(np.exp(rng.uniform(np.log(7), np.log(150))))
    short = float(rng.choice([12, 30, 70, 150, 2000]))
    is_empty = bool(rng.random() < 0.2)
    middle, long = float(rng.choice([1, 1.3, 1.6, 2])), float(rng.choice([1, 1.6, 2, 2.5]))
    scene = Scene(
        spacing_px=unit,
        duty=float(rng.uniform(0.06, 0.65)),
        ticks_px=(short, short * middle, short * max(middle, long)),
        rotation_deg=float(rng.choice([0, 90, 45, rng.uniform(-5, 5), rng.uniform(-180, 180)])),
        top_px=float(rng.uniform(-330, 200)) if short < 2000 else -1000,
        offset_px=float(rng.uniform(0, unit)),
        lines=0 if is_empty else int(rng.choice([400, 400, 100, 40, 20, 10])),
        base_line=bool(rng.random() < 0.3),
        contrast=float(rng.choice([0.8, 0.5, 0.25, 0.12])),
        is_inverted=bool(rng.random() < 0.25),
        blur_px=float(np.exp(rng.uniform(np.log(0.4), np.log(8)))),
        noise=float(rng.choice([1, 2, 4, 10])),
        light=maybe(0.3, float(rng.uniform(-1.2, 1.2))),
        vignette=maybe(0.3, float(rng.uniform(0.2, 0.8))),
        dust=int(maybe(0.4, float(rng.integers(1, 60)))),
        scratches=int(maybe(0.3, float(rng.integers(1, 6)))),
        flicker=maybe(0.25, float(rng.uniform(0.005, 0.4))),
        flicker_px=float(rng.uniform(8, 200)),
        flicker_is_square=bool(rng.random() < 0.4),
        ghost=maybe(0.06, float(rng.uniform(0.15, 0.8))),
        field_stop=bool(rng.random() < 0.15),
        jpeg=int(maybe(0.3, float(rng.integers(25, 95)))),
        thin=float(rng.choice([1, 1, 0.6, 0.35])),
        is_centred=bool(rng.random() < 0.25),
        numerals_px=maybe(0.4, float(rng.uniform(12, 60))),
        crossed_px=maybe(0.4 if short == 2000 and not is_empty else 0.0, unit * float(rng.choice([0.5, 1, 1, 2, 10]))),
        reticle_px=maybe(0.0 if is_empty else 0.12, float(rng.uniform(6, 60))),
        reticle_deg=float(rng.choice([0, 90, rng.uniform(-90, 90)])),
        cells_px=maybe(0.5 if is_empty else 0.03, float(rng.uniform(15, 90))),
        barcode=bool(rng.random() < (0.3 if is_empty else 0.02)),
        motion_px=maybe(0.08, float(rng.uniform(2, 14))),
    )
    # An eyepiece's scale beside hardly a tick of the micrometer's is a scale: nobody could know that it is not the one.
    is_in_view = scene.lines >= 100 and short >= 70 and scene.top_px < 150
    scene = scene if is_in_view else replace(scene, reticle_px=0.0)
    # Nor which lines of a grid are meant when those of one direction are too thin to be seen.
    return replace(scene, thin=1.0) if scene.crossed_px else scene


def good_scene(seed: int) -> Scene:
    """One of many scenes as they are meant to be taken: in focus, lines long enough, light not quite even, some dirt."""
    rng = np.random.default_rng([seed, 73])
    unit = float(np.exp(rng.uniform(np.log(9), np.log(100))))
    short = float(rng.choice([40, 60, 100, 160, 2000]))
    ratios = [(1.0, 1.0, 1.0), (1.0, 1.4, 1.9), (1.0, 1.5, 2.0), (1.0, 1.3, 1.3)][int(rng.integers(4))]
    return Scene(
        spacing_px=unit,
        duty=max(float(rng.uniform(0.12, 0.5)), 1.5 / unit),
        ticks_px=(short * ratios[0], short * ratios[1], short * ratios[2]),
        rotation_deg=float(rng.choice([0, 90, 180, rng.uniform(-3, 3), rng.uniform(-180, 180)])),
        top_px=-1000 if short == 2000 else float(rng.uniform(-220, 60)),
        offset_px=float(rng.uniform(0, unit)),
        base_line=bool(rng.random() < 0.3),
        contrast=float(rng.uniform(0.3, 0.8)),
        is_inverted=bool(rng.random() < 0.15),
        blur_px=float(rng.uniform(0.4, 1.5)) if unit > 14 else 0.7,
        noise=float(rng.choice([1, 2, 3, 5])),
        light=float(rng.choice([0, 0, 0.2, 0.5])),
        vignette=float(rng.choice([0, 0, 0.15, 0.3])),
        dust=int(rng.choice([0, 0, 2, 6])),
        scratches=int(rng.choice([0, 0, 0, 1])),
        field_stop=bool(rng.random() < 0.08),
        jpeg=int(rng.choice([0, 0, 0, 85, 92])),
        numerals_px=float(rng.choice([0, 0, 24])) if short < 2000 else 0.0,
    )
