"""SSD's loss: matching default boxes to cells, hard negatives, and the terms (Liu et al. 2016, section 2.2).

This project's labels ask for more than the paper has. A region that is ignored gives neither positives nor negatives. A cell
whose type is known only in part is trained towards the summed probability of all types it may be; for a known type that sum has
one member, so there is one formula for all cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edge.contracts.cells import CELLS
from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.models.default_boxes import corners, encode
from trainer.models.detector import Targets
from trainer.models.overlap import INSIDE_IGNORED, iou, share_inside

MATCH_IOU = 0.5
NEGATIVES_PER_POSITIVE = 3
LEAST_NEGATIVES = 30
"""An image with few or no cells still trains this many negatives, about those of one cell: three times none would be none, and
most fields of a smear are empty."""

MAY_BE: dict[int, tuple[int, ...]] = {
    UNTYPED_WBC: tuple(index for index, cell in enumerate(CELLS) if cell.is_wbc),
    UNTYPED_NEUTROPHIL: NEUTROPHILS,
}


class Match(NamedTuple):
    """One image's assignment: prior [m] is matched to cell [m] (a row of `Targets`); negative [P] marks background."""

    prior: Tensor
    cell: Tensor
    negative: Tensor


@torch.no_grad()
def match(priors: Tensor, target: Targets, network_size_px: int) -> Match:
    """Assign default boxes [P, 4] (centre and size) to the cells of one image, on the device of the boxes.

    First every cell gets the box it overlaps most, the best pair of all first, so that no two cells share one; then every
    remaining box takes the cell it overlaps by more than 0.5.
    """
    boxes = corners(priors)
    ignored = target.labels == IGNORE
    keep = torch.nonzero(~ignored).flatten().to(boxes.device)
    cells, regions = target.boxes[~ignored].to(boxes.device), target.boxes[ignored].to(boxes.device)
    overlap = iou(cells, boxes)
    owner = torch.full((len(boxes),), -1, dtype=torch.long, device=boxes.device)
    if len(keep):
        best, cell = overlap.max(dim=0)
        owner = torch.where(best > MATCH_IOU, cell, owner)
        rows, own = _one_each(overlap.cpu())
        owner[own.to(owner.device)] = rows.to(owner.device)
    share = share_inside(boxes, regions, (network_size_px, network_size_px))
    prior = torch.nonzero(owner >= 0).flatten()
    return Match(prior, keep[owner[prior]], (owner < 0) & ~(share > INSIDE_IGNORED).any(dim=1))


def _one_each(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of overlaps [n, P] that overlap any prior not yet taken, and the prior of each; greatest overlap first."""
    overlap = overlap.clone()
    most, place = overlap.max(dim=1)
    pairs: list[tuple[int, int]] = []
    for _ in range(len(overlap)):
        row = int(most.argmax())
        prior = int(place[row])
        if most[row] <= 0:
            break
        pairs.append((row, prior))
        overlap[row], overlap[:, prior] = 0, 0
        again = place == prior  # they have to look elsewhere now, and the row itself is done
        most[again], place[again] = overlap[again].max(dim=1)
    rows, priors = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(dim=1)
    return rows, priors


def ssd_loss(
    priors: Tensor, offsets: Tensor, logits: Tensor, targets: Sequence[Targets], network_size_px: int
) -> dict[str, Tensor]:
    """Sums over default boxes: `box` (smooth L1 of offsets), `class` (of positives) and `background` (of hard negatives).

    `priors` [P, 4], `offsets` [N, P, 4], `logits` [N, P, 1 + C] with the background first. Negatives are chosen within each
    image, the worst first, three per positive and at least `LEAST_NEGATIVES`.
    """
    offsets, logits = offsets.float(), logits.float()
    background = logits.logsumexp(dim=2) - logits[:, :, 0]
    box_terms, class_terms, background_terms = [], [], []
    for n, given in enumerate(targets):
        prior, cell, negative = match(priors, given, network_size_px)
        target = Targets(given.boxes.to(priors.device), given.labels.to(priors.device))
        wanted = encode(target.boxes[cell], priors[prior])
        box_terms.append(functional.smooth_l1_loss(offsets[n, prior], wanted, reduction="sum"))
        class_terms.append(class_loss(logits[n, prior], target.labels[cell]))
        candidates = background[n][negative]
        count = max(LEAST_NEGATIVES, NEGATIVES_PER_POSITIVE * len(prior))
        background_terms.append(candidates.topk(min(count, len(candidates))).values.sum())
    return {
        "box": torch.stack(box_terms).sum(),
        "class": torch.stack(class_terms).sum(),
        "background": torch.stack(background_terms).sum(),
    }


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-log of the summed probability of all classes that a cell may be, summed over positives: logits [m, 1 + C], labels [m].

    An untyped leukocyte may be any of the leukocyte classes, an untyped neutrophil band or segmented.
    """
    may_be = functional.one_hot(labels.clamp(min=0) + 1, logits.shape[1]).bool() & (labels >= 0)[:, None]
    for label, classes in MAY_BE.items():
        columns = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
        columns[[1 + index for index in classes]] = True
        may_be |= (labels == label)[:, None] & columns
    said = logits.masked_fill(~may_be, -torch.inf).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - said).sum()
