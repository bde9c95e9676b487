"""What annotating more images of a laboratory brings: a bundle adapted with few of them, and with more, on other slides."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edge.contracts.base import Strict, parse_json
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.whole_file import write_whole
from trainer.checkpoint import LAST, Checkpoint, load_checkpoint, require_same
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.groups import groups_of
from trainer.data.image_store import ImageStore
from trainer.data.provenance import code_version, data_sha256
from trainer.data.readers.description import load_description
from trainer.data.split import divide
from trainer.data.split_plan import parse_plan
from trainer.evaluation.comparison import Comparison, compare_results
from trainer.evaluation.detect import results_of
from trainer.evaluation.target import bundle_target, checkpoint_target
from trainer.loop.adaptation import Parent
from trainer.loop.ranks import joined
from trainer.loop.training_loop import train
from trainer.loop.training_run import training_sets
from trainer.recipe import Recipe

POINTS = "curve.json"


class CurvePoint(Strict):
    """The bundle adapted with `images` of the laboratory, beside the bundle itself; `slides` they are of."""

    images: int
    slides: int
    compared: Comparison


class AdaptationCurve(Strict):
    """`data_sha256` is of all images of the laboratory; `points` by rising number of images."""

    bundle_id: str
    bundle: str
    source: str
    held_back: int
    held_back_slides: int
    data_sha256: str
    recipe: dict[str, object]
    points: tuple[CurvePoint, ...] = ()


def adaptation_curve(
    parent: Parent,
    recipe: Recipe,
    data: Path,
    root: Path,
    source: str,
    counts: Sequence[int],
    split_by: str,
    out: Path,
    say: Callable[[str], None],
    device: str = "auto",
) -> AdaptationCurve | None:
    """Train with each number of images and measure on the slides held back; what is in `out` already is taken from there.

    The images are taken from slide after slide, one of each, and larger numbers include the smaller ones. None when a training
    was asked to stop. Raises `ConfigError` for a source or number that is not there, and `DataError`.
    """
    rows, groups = _of_source(data, root, source, split_by)
    offered = _slide_after_slide([(row, group) for row, group in zip(rows, groups, strict=True) if row.split == "train"])
    held = [(row, group) for row, group in zip(rows, groups, strict=True) if row.split == "test"]
    if not offered or max(counts) > len(offered):
        raise ConfigError(f"{source} has {len(offered)} images that are not held back, and {max(counts)} are asked for.")
    plan = AdaptationCurve(
        bundle_id=parent.bundle.bundle_id,
        bundle=parent.bundle.manifest.name,
        source=source,
        held_back=len(held),
        held_back_slides=len({group for _, group in held}),
        data_sha256=data_sha256(rows),
        recipe=recipe.model_dump(mode="json"),
    )
    curve = _begun(out / POINTS, plan)
    before = list(results_of(bundle_target(parent.bundle), [row for row, _ in held]))
    for count in sorted(set(counts)):
        if count in {point.images for point in curve.points}:
            continue
        after = before
        if count:
            say(f"{count} images of {len({group for _, group in offered[:count]})} slides")
            child = _trained(parent, recipe, [row for row, _ in offered[:count]], out / f"{count:03d}", device)
            if child is None:
                return None
            target = checkpoint_target(child, parent.bundle.manifest.thresholds, device)
            after = list(results_of(target, [row for row, _ in held]))
        slides = len({group for _, group in offered[:count]})
        point = CurvePoint(images=count, slides=slides, compared=compare_results(before, after))
        points = sorted((*curve.points, point), key=lambda each: each.images)
        curve = curve.model_copy(update={"points": tuple(points)})
        write_whole(out / POINTS, curve.model_dump_json(indent=1) + "\n")
    return curve


def _of_source(data: Path, root: Path, source: str, split_by: str) -> tuple[list[Annotation], list[int]]:
    """Its images, divided, and their slides."""
    patterns = load_description(data).group_patterns
    rows = [row for row in load_datasets(data, root) if row.source == source]
    if not rows:
        raise ConfigError(f"{data} has no source {source!r}; name one of its sources.")
    return divide(rows, parse_plan(split_by), patterns), groups_of(rows, patterns)


def _slide_after_slide(rows: Sequence[tuple[Annotation, int]]) -> list[tuple[Annotation, int]]:
    """One image of each slide, then a second of each, and so on: as one would choose them for annotation."""
    rng = np.random.default_rng(0)
    by_slide: dict[int, list[tuple[Annotation, int]]] = {}
    for at in rng.permutation(len(rows)).tolist():
        by_slide.setdefault(rows[at][1], []).append(rows[at])
    return list(_in_turn(list(by_slide.values())))


def _in_turn(piles: list[list[tuple[Annotation, int]]]) -> Iterator[tuple[Annotation, int]]:
    for depth in range(max(map(len, piles), default=0)):
        yield from (pile[depth] for pile in piles if depth < len(pile))


def _begun(file: Path, plan: AdaptationCurve) -> AdaptationCurve:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        return plan
    there = parse_json(AdaptationCurve, file.read_bytes(), file, DataError)
    if there.model_copy(update={"points": ()}) != plan:
        raise DataError(f"{file} is of another bundle, recipe, laboratory or division; choose another --out.")
    return there


def _trained(parent: Parent, recipe: Recipe, rows: list[Annotation], folder: Path, device: str) -> Checkpoint | None:
    """None when it was asked to stop."""
    last = folder / LAST
    previous = load_checkpoint(last) if last.is_file() else None
    if previous:
        require_same(previous.recipe, recipe, last)
        if previous.finished:
            return previous
    folder.mkdir(parents=True, exist_ok=True)
    store = ImageStore(recipe.scale.um_per_px, folder)
    loaded = store.load(rows)
    about: dict[str, object] = {"sha256": data_sha256(loaded), "code_version": code_version()}
    with joined(device) as ranks:
        sets = training_sets(recipe, loaded, store)
        outcome = train(recipe, sets, folder, about, resume=previous, start_from=parent.checkpoint, ranks=ranks)
    return outcome.checkpoint if outcome.finished else None
