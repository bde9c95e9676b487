"""Ways to divide the images into training and held-back ones, named by one word on the command line."""

from dataclasses import dataclass, replace
from typing import Literal

from edge.contracts.errors import ConfigError
from trainer.data.annotation import SPLITS

HELP = (
    "given: as the data sets say; random:0.07 holds back 7 % of the images, as the reference did; grouped:0.2 holds back whole "
    "slides or originals; fold:0/5 the first of five grouped folds; source:LAB one laboratory (LAB+LAB several). "
    "A seed may follow: fold:0/5:7; and laboratories that are held back, too: fold:0/5,source:LAB"
)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """What is held back: a `share` (random, grouped), fold `fold` of `folds`, or all of `sources`, which may come on top."""

    kind: Literal["given", "random", "grouped", "fold", "source"]
    share: float = 0.0
    fold: int = 0
    folds: int = 0
    seed: int = 0
    sources: tuple[str, ...] = ()


def parse_splits(text: str) -> frozenset[str]:
    """Names of splits, separated by commas. Raises `ConfigError` for one that is not."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in SPLITS]:
        raise ConfigError(f"{unknown[0]!r} is no split; use {', '.join(SPLITS)}, several separated by commas.")
    return frozenset(names)


def parse_plan(text: str) -> SplitPlan:
    """See `HELP`. Raises `ConfigError`."""
    first, more, names = text.partition(",source:")
    if more:
        plan = parse_plan(first)
        if plan.kind != "source" and all(names.split("+")):
            return replace(plan, sources=tuple(names.split("+")))
        raise ConfigError(f"the split {text!r} is not known. {HELP}.")
    kind, _, rest = text.partition(":")
    value, _, number = rest.partition(":")
    try:
        if kind == "given" and not rest:
            return SplitPlan("given")
        if kind == "source" and rest:
            return SplitPlan("source", sources=tuple(rest.split("+")))
        if (seed := int(number or 0)) < 0:
            raise ValueError("random generators take no negative seed")
        if kind == "random" and 0 < float(value) < 1:
            return SplitPlan("random", share=float(value), seed=seed)
        if kind == "grouped" and 0 < float(value) < 1:
            return SplitPlan("grouped", share=float(value), seed=seed)
        if kind == "fold":
            fold, folds = (int(part) for part in value.split("/"))
            if 0 <= fold < folds and folds > 1:
                return SplitPlan("fold", fold=fold, folds=folds, seed=seed)
    except ValueError:
        pass
    raise ConfigError(f"the split {text!r} is not known. {HELP}.")
