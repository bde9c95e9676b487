"""Where everything lies: a pure function of seed and stage position, so that any two fields agree on what they share.

The stage is divided into squares; a hash of the seed and the square's index decides what lies in it. Labelled cells are a
hard-core arrangement (Matern's second: of two that are too near, the one with the higher mark goes), red cells a jittered
lattice with gaps and clumps, pushed aside by leukocytes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Float32, Int32
from edge.virtual.settings import CELL_SPACING_UM, FIELD_AREA_UM2, SlideSettings

Float64 = NDArray[np.float64]
UInt64 = NDArray[np.uint64]
Window = tuple[float, float, float, float]
"""x1 y1 x2 y2 on the stage, micrometres."""

_LABELLED, _RED, _PLATELET = 1, 2, 3
_SQUARE_UM = 24.0
_MOST_PER_SQUARE = 14
_LATTICE_FILL = 0.66  # share of lattice sites with a red cell; the rest are gaps
_JITTER = 0.42  # of the lattice spacing
_DRIFT_UM = 2.5  # how far the slow displacement moves red cells together
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Placed:
    """Things on the stage, one row each: centre [n, 2] in um, what it is, which painting, how it is turned (0 to 7), its key.

    `key` int64 names a cell: the same in every field that shows it.
    """

    centre_um: Float64
    label: Int32
    variant: Int32
    turn: Int32
    key: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def taken(self, keep: NDArray[np.bool_]) -> "Placed":
        """Only the rows where `keep` [n] is true."""
        return Placed(self.centre_um[keep], self.label[keep], self.variant[keep], self.turn[keep], self.key[keep])


def _mix(value: UInt64) -> UInt64:
    """The finaliser of SplitMix64: every input bit changes every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _hash(seed: int, stream: int, *indices: NDArray[np.int64]) -> UInt64:
    state = _mix(np.array([(seed * 8 + stream) % 2**64], np.uint64))
    for index in indices:
        state = _mix((state + np.uint64(_GOLDEN)) ^ index.astype(np.uint64))
    return state


def _uniform(state: UInt64, draw: int) -> Float64:
    """Number `draw` of the sequence that starts at `state`, in [0, 1)."""
    step = np.uint64((draw + 1) * _GOLDEN % 2**64)
    return np.asarray((_mix(state + step) >> np.uint64(11)) * 2.0**-53, np.float64)


def _squares(window: Window, size_x: float, size_y: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the squares that touch the window, row by row."""
    columns = np.arange(math.floor(window[0] / size_x), math.floor(window[2] / size_x) + 1)
    rows = np.arange(math.floor(window[1] / size_y), math.floor(window[3] / size_y) + 1)
    return np.tile(columns, len(rows)).astype(np.int64), np.repeat(rows, len(columns)).astype(np.int64)


def _grown(window: Window, by: float) -> Window:
    return window[0] - by, window[1] - by, window[2] + by, window[3] + by


def inside(points: Float64, window: Window) -> NDArray[np.bool_]:
    """Which of `points` [n, 2] lie in the window; bool [n]."""
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= window[0]) & (x < window[2]) & (y >= window[1]) & (y < window[3]))


class Placement:
    """What lies where on one slide."""

    def __init__(self, settings: SlideSettings, red_variants: int, platelet_variants: int) -> None:
        self._seed = settings.seed
        self._variants = settings.variants
        self._red_variants, self._platelet_variants = red_variants, platelet_variants
        core = math.pi * CELL_SPACING_UM**2
        # Matern: thinning leaves (1 - exp(-density * core)) / core; solved for the density before thinning.
        before = -math.log(1.0 - settings.cells_per_um2() * core) / core
        self._labelled_cdf = _poisson_cdf(before * _SQUARE_UM**2)
        self._platelet_cdf = _poisson_cdf(settings.platelets_per_field_mean / FIELD_AREA_UM2 * _SQUARE_UM**2)
        self._class_cdf = np.cumsum(settings.weights())
        self._spacing = (
            math.sqrt(_LATTICE_FILL * FIELD_AREA_UM2 / settings.rbc_per_field_mean) if settings.rbc_per_field_mean else 0.0
        )
        rng = np.random.default_rng([settings.seed, 0x5107])
        heading = rng.uniform(0.0, 2.0 * math.pi, 6)
        length_um = rng.uniform(28.0, 160.0, 6)
        self._waves = np.stack([np.cos(heading), np.sin(heading)], 0) * 2.0 * math.pi / length_um
        self._phases = rng.uniform(0.0, 2.0 * math.pi, 6)

    def labelled(self, window: Window) -> Placed:
        """The cells of the 15 classes with their centre in the window."""
        drawn, mark = self._scattered(_grown(window, CELL_SPACING_UM), _LABELLED, self._labelled_cdf)
        gap = np.linalg.norm(drawn.centre_um[:, None] - drawn.centre_um[None], axis=2)
        beaten = ((gap < CELL_SPACING_UM) & (mark[None] < mark[:, None])).any(1)
        return drawn.taken(inside(drawn.centre_um, window) & ~beaten)

    def platelets(self, window: Window) -> Placed:
        """Ordinary platelets with their centre in the window; `label` is 0 and means nothing."""
        drawn, _ = self._scattered(window, _PLATELET, self._platelet_cdf)
        placed = drawn.taken(inside(drawn.centre_um, window))
        return Placed(placed.centre_um, placed.label * 0, placed.variant % self._platelet_variants, placed.turn, placed.key)

    def _scattered(self, window: Window, stream: int, cdf: Float64) -> tuple[Placed, Float64]:
        column, row = _squares(window, _SQUARE_UM, _SQUARE_UM)
        count = np.searchsorted(cdf, _uniform(_hash(self._seed, stream, column, row), 0), side="right")
        column, row = np.repeat(column, count), np.repeat(row, count)
        slot = np.arange(len(column)) - np.repeat(np.cumsum(count) - count, count)
        state = _hash(self._seed, stream, column, row, slot.astype(np.int64))
        centre = np.stack([column + _uniform(state, 0), row + _uniform(state, 1)], 1) * _SQUARE_UM
        label = np.searchsorted(self._class_cdf, _uniform(state, 2) * self._class_cdf[-1], side="right")
        variant = np.floor(_uniform(state, 3) * self._variants)
        turn = np.floor(_uniform(state, 4) * 8)
        key = (state >> np.uint64(1)).astype(np.int64)
        placed = Placed(centre, label.astype(np.int32), variant.astype(np.int32), turn.astype(np.int32), key)
        return placed, _uniform(state, 5)

    def red_cells(self, window: Window) -> Placed:
        """Red cells whose place, before leukocytes push them, is in or near the window; `label` is 0."""
        if not self._spacing:
            return _NOTHING
        step_x, step_y = self._spacing, self._spacing
        column, row = _squares(_grown(window, _DRIFT_UM * 2 + self._spacing), step_x, step_y)
        state = _hash(self._seed, _RED, column, row)
        jitter = np.stack([_uniform(state, 0), _uniform(state, 1)], 1) - 0.5
        stagger = np.stack([0.5 * (row % 2), np.zeros(len(row))], 1)
        site = (np.stack([column, row], 1) + 0.5 + stagger + 2.0 * _JITTER * jitter) * self._spacing
        phase = site @ self._waves + self._phases
        crowd = np.sin(phase).mean(1)
        there = _uniform(state, 2) < np.clip(_LATTICE_FILL * (1.0 + 1.1 * crowd), 0.04, 1.0)
        drift = np.cos(phase) @ self._waves.T
        drift *= _DRIFT_UM / (np.linalg.norm(drift, axis=1, keepdims=True) + 0.4)
        moved = site + drift
        keep = there & inside(moved, window)
        variant = np.floor(_uniform(state, 3) * self._red_variants).astype(np.int32)
        turn = np.floor(_uniform(state, 4) * 8).astype(np.int32)
        everything = Placed(moved, variant * 0, variant, turn, (state >> np.uint64(1)).astype(np.int64))
        return everything.taken(keep)


def _poisson_cdf(mean: float) -> Float64:
    terms = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(_MOST_PER_SQUARE)]
    return np.cumsum(np.asarray(terms, np.float64))


_NOTHING = Placed(np.zeros((0, 2)), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))


def pushed(points: Float64, obstacles: Float64, contact_um: Float32) -> tuple[Float64, NDArray[np.bool_]]:
    """Move `points` [n, 2] out of the circles `contact_um` [m] around `obstacles` [m, 2]; also which of them still have room.

    Those near the middle of an obstacle, and those pushed into another one, have none.
    """
    if not len(obstacles) or not len(points):
        return points, np.ones(len(points), np.bool_)
    away = points[:, None] - obstacles[None]
    gap = np.linalg.norm(away, axis=2)
    depth = contact_um[None] - gap
    worst = np.argmax(depth, axis=1)
    rows = np.arange(len(points))
    deep = np.maximum(depth[rows, worst], 0.0)
    near = gap[rows, worst]
    outwards = away[rows, worst] / np.maximum(near, 1e-6)[:, None]
    moved = points + outwards * (0.85 * deep)[:, None]
    left = np.linalg.norm(moved[:, None] - obstacles[None], axis=2) < 0.75 * contact_um[None]
    return moved, ~left.any(1)
