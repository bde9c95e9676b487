"""The self-describing graph with a second look in it: what the detector finds is looked at again before it leaves the graph.

Contract and arithmetic are those of `trainer.export.graph`: every engine runs it as it runs a graph without, in one plan with
one parity gate. All shapes are fixed: a frame has so many looks, however many cells it shows; no plugin, no loop.
"""

import copy

import torch
from torch import Tensor

from edge.contracts.bundle import SecondLook
from trainer.export.graph import FrameGraph
from trainer.models.detector import Detector
from trainer.second_look.look_network import NO_CELL, UNKNOWN, LookNetwork

CANDIDATES = 128
"""Priors of highest presence among which one for each cell is chosen: a cell has ten to twenty."""

ROUNDS = 3
"""Of suppression. Each settles one more link of a chain of overlapping boxes; longer chains are not of cells."""

SMALLEST_SHARE = 1e-4

AMONG = 3
"""Classes that share what nobody knows. Presence is the sum of a cell's class scores, and an edge leaves small ones out: of
fifteen equal ones it would leave out all."""

BEYOND_FROM, USUAL_CELL = 0.15, 0.9
"""Presence from which a cell beyond the looks counts as one, and what a look says of such a cell on average."""


class LookingGraph(FrameGraph):
    """`FrameGraph` whose rows of the cells looked at carry both networks' opinion."""

    class_weights: Tensor
    before: Tensor

    def __init__(self, detector: Detector, top_k: int, look: LookNetwork, settings: SecondLook) -> None:
        super().__init__(detector, top_k)
        self.look = copy.deepcopy(look).eval()
        self.settings = settings
        weights = [settings.class_weights.get(name, 1.0) for name in settings.outputs()]
        self.register_buffer("class_weights", torch.tensor(weights, dtype=torch.float32), persistent=False)
        before = torch.ones(CANDIDATES, CANDIDATES).triu(1)
        self.register_buffer("before", before, persistent=False)
        self.eval()

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `trainer.export.graph`."""
        boxes, scores = self.detector.decode(self.detector(self.images(frames)))
        boxes = boxes * self.scale_of(frames, boxes)
        found, presence, opinion = self.chosen(boxes, scores)
        logits = self.look(self.crops(frames, found))
        judged = self.judged(presence, opinion, logits.view(-1, self.settings.looks, self.look.types.out_features))
        # What overlaps a cell that was looked at is that cell: it would bring back one that was found to be none.
        free = (overlaps(found, boxes) * (presence > 0).unsqueeze(-1)).amax(dim=1) < self.settings.same_cell_iou
        scores = scores * (self.raised(scores.sum(dim=2)) * free.to(scores.dtype)).unsqueeze(-1)
        return self.rows(torch.cat((found, boxes), dim=1), torch.cat((judged, scores), dim=1))

    def chosen(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The boxes to look at [N, M, 4], one a cell, their presence [N, M] (0 where there are fewer) and scores [N, M, C]."""
        n = min(CANDIDATES, boxes.shape[1])
        # Presence is at most 1; the sum itself tells more of them apart.
        top = torch.topk(scores.sum(dim=2), n, dim=1)
        candidates = torch.gather(boxes, 1, top.indices.unsqueeze(-1).expand(-1, -1, 4))
        hides = (overlaps(candidates, candidates) >= self.settings.same_cell_iou).to(scores.dtype) * self.before[:n, :n]
        kept = torch.ones_like(top.values)
        for _ in range(ROUNDS):  # Matrix form of greedy suppression (Zheng et al. 2021, Cluster-NMS)
            kept = 1.0 - (hides * kept.unsqueeze(-1)).amax(dim=1)
        seen = torch.topk(top.values * kept, self.settings.looks, dim=1)
        prior = torch.gather(top.indices, 1, seen.indices).unsqueeze(-1)
        found = torch.gather(boxes, 1, prior.expand(-1, -1, 4))
        return found, seen.values.clamp(max=1.0), torch.gather(scores, 1, prior.expand(-1, -1, self.detector.n_classes))

    def crops(self, frames: Tensor, boxes: Tensor) -> Tensor:
        """Frames, uint8 BGR [N, H, W, 3], and boxes [N, M, 4] in their pixels to RGB crops [N * M, 3, S, S] in 0..1.

        A crop's pixel is the mean of four of the frame's; past the frame's edge its last pixels go on. Places are whole
        numbers and pixels are gathered: an engine of half precision would round the places of a GridSample by whole pixels.
        """
        n, height, width, _ = frames.shape
        side, m = self.settings.crop_side_px, self.settings.looks
        pixels = frames.to(torch.float32).reshape(n * height * width, 3)
        corners = boxes.to(torch.int32)
        middle = torch.div(corners[..., :2] + corners[..., 2:], 2, rounding_mode="trunc")
        steps = torch.arange(side, dtype=torch.int32, device=frames.device) * 2 - side
        x, y = middle[..., 0:1] + steps, middle[..., 1:2] + steps
        image = torch.arange(n, dtype=torch.int32, device=frames.device).view(n, 1, 1) * height
        rows = [(image + (y + down).clamp(min=0).minimum(_as_int(height - 1, y))) * width for down in (0, 1)]
        columns = [(x + right).clamp(min=0).minimum(_as_int(width - 1, x)) for right in (0, 1)]
        places = [row.unsqueeze(3) + column.unsqueeze(2) for row in rows for column in columns]
        found = [torch.index_select(pixels, 0, place.reshape(-1)) for place in places]
        mean = (found[0] + found[1] + found[2] + found[3]) / (4 * 255.0)
        return mean.reshape(n * m, side, side, 3).permute(0, 3, 1, 2).flip(1)

    def raised(self, presence: Tensor) -> Tensor:
        """What scores of priors without a look are multiplied by [N, P]: as if a look had found what it usually finds.

        Without it a threshold that was chosen on cells looked at would lose the ninth cell of a field.
        """
        share = self.settings.presence_share
        factor = (USUAL_CELL / presence.clamp(min=BEYOND_FROM, max=1.0)).pow(share)
        return torch.where(presence >= BEYOND_FROM, factor, torch.ones_like(factor))

    def judged(self, presence: Tensor, opinion: Tensor, logits: Tensor) -> Tensor:
        """Class scores [N, M, C]: both networks' presence and types, weighted in the exponent.

        What is unknown to the second look, and what the two do not agree in, goes to the `AMONG` likeliest classes alike: the
        likeliest stays the likeliest, and no longer leads. They agree by the sum over classes of both probabilities' weighted
        geometric mean (Chernoff's coefficient, 1952): 1 where they say the same, near 0 where each is sure of another class.
        """
        settings = self.settings
        looked = (logits / settings.temperature).softmax(dim=2) * self.class_weights[: logits.shape[2]]
        looked = looked / looked.sum(dim=2, keepdim=True)
        is_cell = 1.0 - looked[..., NO_CELL]
        share, own = settings.presence_share, settings.type_share
        there = presence.clamp(min=1e-6).pow(1 - share) * is_cell.clamp(min=1e-6).pow(share) * (presence > 0)
        first = opinion / opinion.sum(dim=2, keepdim=True).clamp(min=1e-6)
        types = (first + SMALLEST_SHARE).pow(1 - own) * (looked[..., :NO_CELL] + SMALLEST_SHARE).pow(own)
        types = types / types.sum(dim=2, keepdim=True)
        known = self.known(first, looked, is_cell)
        among = (types >= torch.topk(types, AMONG, dim=2).values[..., -1:]).to(types.dtype)
        return (types * known + (1.0 - known) * among / among.sum(dim=2, keepdim=True)) * there.unsqueeze(-1)

    def known(self, first: Tensor, looked: Tensor, is_cell: Tensor) -> Tensor:
        """How far a cell is one that both know [N, M, 1], of both networks' probabilities."""
        share, known = self.settings.agreement_share, torch.ones_like(is_cell)
        if self.settings.agreement > 0:
            types = looked[..., :NO_CELL] / looked[..., :NO_CELL].sum(dim=2, keepdim=True).clamp(min=1e-6)
            alike = (first.pow(1 - share) * types.pow(share)).sum(dim=2)
            known = alike.clamp(min=1e-6, max=1.0).pow(self.settings.agreement)
        if looked.shape[2] > UNKNOWN:
            known = known * (1.0 - (looked[..., UNKNOWN] / is_cell.clamp(min=1e-6)).clamp(max=1.0))
        return known.unsqueeze(-1)


def _as_int(value: int, like: Tensor) -> Tensor:
    return torch.ones((), dtype=like.dtype) * value


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes [N, A, 4] with boxes [N, B, 4]: [N, A, B]."""
    low = torch.maximum(first[:, :, None, :2], second[:, None, :, :2])
    high = torch.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    sides = (high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(b[..., 2] - b[..., 0]).clamp(min=0) * (b[..., 3] - b[..., 1]).clamp(min=0) for b in (first, second)]
    return shared / (areas[0][:, :, None] + areas[1][:, None, :] - shared).clamp(min=1e-6)
