"""Drawing annotated cells so that no class and no laboratory rules the training."""

import numpy as np

from edge.contracts.detections import Int32
from trainer.data.annotation import IGNORE

RARE_LIMIT = 6.0
"""A class is drawn at most this many times as often as its share: a dozen images repeated endlessly are learnt by heart."""


class CellPicker:
    """Draws (image number, cell number): first the class, then the source, then one of its cells."""

    def __init__(self, labels: list[Int32], sources: list[str], balance: float) -> None:
        groups: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for number, (row, source) in enumerate(zip(labels, sources, strict=True)):
            for cell, label in enumerate(row.tolist()):
                if label != IGNORE:
                    groups.setdefault(label, {}).setdefault(source, []).append((number, cell))
        self._groups = [[by_source[name] for name in sorted(by_source)] for _, by_source in sorted(groups.items())]
        counts = np.array([sum(len(cells) for cells in group) for group in self._groups], np.float64)
        share = counts / max(1.0, counts.sum())
        even = 1.0 / max(1, len(counts))
        weights = np.minimum((1 - balance) * share + balance * even, RARE_LIMIT * share)
        self._classes = np.cumsum(weights / max(1e-9, weights.sum()))
        # Square roots: a small source is seen more often than its size, a large one still most.
        self._within = [
            np.cumsum(np.sqrt([len(cells) for cells in group]) / np.sqrt([len(cells) for cells in group]).sum())
            for group in self._groups
        ]

    def __bool__(self) -> bool:
        return bool(self._groups)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """(image number, cell number). Only when the picker is not empty."""
        first, second = rng.random(2)
        k = min(int(np.searchsorted(self._classes, first, side="right")), len(self._groups) - 1)
        s = min(int(np.searchsorted(self._within[k], second, side="right")), len(self._groups[k]) - 1)
        cells = self._groups[k][s]
        return cells[int(rng.integers(len(cells)))]
