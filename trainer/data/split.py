"""Images divided into training and held-back ones, as a plan says."""

import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from edge.contracts.errors import ConfigError
from trainer.data.annotation import IGNORE, Annotation, Split
from trainer.data.faults import STRICT, Faults
from trainer.data.groups import groups_of
from trainer.data.split_plan import SplitPlan


def divide(
    annotations: Sequence[Annotation], plan: SplitPlan, patterns: Mapping[str, str], faults: Faults = STRICT
) -> list[Annotation]:
    """The annotations with `split` set to train or test by `plan`; `given` leaves them.

    `patterns` and `faults` as in `groups_of`. `random` parts groups, as the reference did: its test images may come from slides
    it was trained on. The reference says that it held back 7 %; the 1,120 of 14,700 images it counts are 7.6 %.
    """
    if plan.kind == "source":
        return without_sources(annotations, plan.sources)
    if plan.sources:
        return without_sources(divide(annotations, replace(plan, sources=()), patterns, faults), plan.sources, only=False)
    if plan.kind == "given":
        return list(annotations)
    rng = np.random.default_rng(plan.seed)
    if plan.kind == "random":
        # However small the set, something is tested on and something trained on.
        count = min(max(1, round(plan.share * len(annotations))), len(annotations) - 1)
        held = set(rng.permutation(len(annotations))[:count].tolist())
    elif plan.kind == "grouped":
        groups = np.array(groups_of(annotations, patterns, faults))
        if (n_groups := len(set(groups.tolist()))) < 2:
            raise ConfigError("all images are of one group and cannot be divided; correct `group_by`.")
        order = rng.permutation(n_groups)
        sizes = np.bincount(groups)[order].cumsum()
        chosen = order[: min(int(np.searchsorted(sizes, plan.share * len(annotations))) + 1, n_groups - 1)]
        held = set(np.flatnonzero(np.isin(groups, chosen)).tolist())
    else:
        held = set(folds_of(annotations, groups_of(annotations, patterns, faults), plan.folds, plan.seed)[plan.fold])
    names: tuple[Split, Split] = ("train", "test")
    return [replace(row, split=names[number in held]) for number, row in enumerate(annotations)]


def without_sources(annotations: Sequence[Annotation], sources: Collection[str], *, only: bool = True) -> list[Annotation]:
    """The annotations with these sources held back; the rest is trained on, or, where they are not the `only` ones, stays.

    Raises `ConfigError` for a source that no image is of.
    """
    known = {row.source for row in annotations}
    if unknown := set(sources) - known:
        raise ConfigError(f"there is no source {sorted(unknown)[0]!r} to hold back; the data has {', '.join(sorted(known))}.")
    return [
        replace(row, split="test") if row.source in sources else replace(row, split="train") if only else row
        for row in annotations
    ]


def folds_of(annotations: Sequence[Annotation], groups: Sequence[int], folds: int, seed: int) -> list[list[int]]:
    """Row numbers of each fold; groups stay whole, and each source and type is spread as evenly as that allows.

    Raises `ConfigError` when there are fewer groups than folds.
    """
    if (count := len(set(groups))) < folds:
        raise ConfigError(f"{count} groups of images cannot make {folds} folds; use fewer folds, or correct `group_by`.")
    names = [_stratum(row) for row in annotations]
    sizes = Counter(names)
    kinds: dict[str, int] = {}
    strata = [kinds.setdefault(name if sizes[name] >= folds else "rare", len(kinds)) for name in names]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Fewer rare cells than folds is how these data are, not a slip.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return [held.tolist() for _, held in splitter.split(np.zeros(len(strata)), strata, groups)]


def _stratum(row: Annotation) -> str:
    labels = [label for label in row.labels.tolist() if label != IGNORE]
    return f"{row.source}/{labels[0] if labels else 'none'}"
