"""The network of the second look: one crop in, the probability of each class and of no cell out.

There is no batch normalisation in it: its statistics would be those of the training laboratories. Each crop is brought to zero
mean and unit deviation a channel instead, which takes lamp, cast and contrast out of it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.contracts.cells import N_CLASSES

NO_CELL = N_CLASSES
"""Output of what is no cell of the table: debris, an ordinary platelet, red cells, empty slide, a piece of a cell."""

UNKNOWN = N_CLASSES + 1
"""Output of a cell that is none of those taught. Networks of before have no such output."""

N_OUTPUTS = N_CLASSES + 2

WIDTHS = (16, 24, 48, 64, 96, 128)


class LookNetwork(nn.Module):
    """RGB crops in 0..1, float32 [n, 3, S, S], S a multiple of 16, to logits [n, outputs]."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, dropout: float = 0.25, outputs: int = N_OUTPUTS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(widths):
            stride = 2 if number in (0, 2, 4) else 1
            layers += [nn.Conv2d(before, width, 5 if not number else 3, stride, 2 if not number else 1), nn.ReLU()]
            before = width
        layers += [nn.MaxPool2d(2), nn.Conv2d(before, before, 3, 1, 1), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.types = nn.Linear(2 * before, outputs)
        for module in self.trunk:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                module.bias.data.zero_()  # type: ignore[union-attr]

    @property
    def says_unknown(self) -> bool:
        """Whether it has the output `UNKNOWN`."""
        return self.types.out_features > UNKNOWN

    def forward(self, crops: Tensor) -> Tensor:
        """Logits, see the class."""
        features = self.trunk(standardised(crops))
        pooled = torch.cat((features.mean(dim=(2, 3)), features.amax(dim=(2, 3))), dim=1)
        logits: Tensor = self.types(self.dropout(pooled))
        return logits


def standardised(crops: Tensor) -> Tensor:
    """Zero mean and unit deviation of each crop and channel; a crop of one colour stays zero."""
    centred = crops - crops.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-4).sqrt()


def macs_of(network: LookNetwork, side_px: int) -> int:
    """Multiplications for one crop, convolutions only."""
    total, side = 0, side_px
    for module in network.trunk:
        if isinstance(module, nn.Conv2d):
            side = -(-side // module.stride[0])
            total += side * side * module.weight.numel()
        elif isinstance(module, nn.MaxPool2d):
            side //= 2
    return total


def log_of_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logarithm of the probability that the class is one of those allowed [n, N_OUTPUTS bool]: [n]."""
    outside = functional.log_softmax(logits, dim=1).masked_fill(~allowed, -torch.inf)
    return outside.logsumexp(dim=1)
