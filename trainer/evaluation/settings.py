"""What a caller may choose of an evaluation."""

from edge.contracts.base import Strict

SMALL_BELOW_UM = 10.0
"""The reference's small cells are nucleated red cells of 8.5 um; this takes in the smallest lymphocytes too."""

DENSE_FROM = 2
"""The reference names no number; its images hold 1.3 annotated cells on average."""

ROUNDS = 1000
"""Of resampling for the 95 % limits, where they are asked for."""


class EvaluationSettings(Strict):
    """`small_below_um` (root of a box's area) and `dense_from` (annotated cells of an image) bound the two subsets;
    `bootstrap_rounds` 0 leaves the limits out; `other_thresholds` adds what presence thresholds of a grid would count."""

    small_below_um: float = SMALL_BELOW_UM
    dense_from: int = DENSE_FROM
    bootstrap_rounds: int = 0
    seed: int = 0
    other_thresholds: bool = False
