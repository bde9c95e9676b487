"""Style mixing: in training, the first layers' outputs take each other's means and deviations (MixStyle, Zhou et al. 2021).

Those carry what a laboratory's stain and camera look like, and little of what a cell is.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from edge.contracts.base import Fraction, Strict
from trainer.models.layers import ConvBlock

_EPS = 1e-6


class StyleMixing(Strict):
    """The numbers of the paper, but for the blocks: its residual stages are larger than a `ConvBlock`."""

    share: Fraction = Field(0.5, description="of batches that are mixed")
    concentration: float = Field(0.1, gt=0, description="of the Beta distribution of weights; small: nearly all of one style")
    blocks: int = Field(2, ge=1, description="how many of the first convolutions are mixed after")


def mix_styles(model: nn.Module, settings: StyleMixing) -> None:
    """From now on `model` mixes while it trains. Its weights and what it computes otherwise stay as they are."""
    blocks = [module for module in model.modules() if isinstance(module, ConvBlock)]

    def hook(block: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not block.training or float(torch.rand(())) >= settings.share:
            return None
        return mixed(output, settings.concentration)

    for block in blocks[: settings.blocks]:
        block.register_forward_hook(hook)


def mixed(x: Tensor, concentration: float) -> Tensor:
    """[N, C, H, W]: each image with its own content, and a mean of its own and another one's style, by channel."""
    values = x.float()
    deviation, mean = torch.std_mean(values.detach(), dim=(2, 3), keepdim=True, correction=0)
    deviation = (deviation**2 + _EPS).sqrt()
    n = len(x)
    other = torch.randperm(n)
    own = torch.distributions.Beta(concentration, concentration).sample((n, 1, 1, 1)).to(x.device)
    gain = (own * deviation + (1 - own) * deviation[other]) / deviation
    return ((values - mean) * gain + own * mean + (1 - own) * mean[other]).to(x.dtype)
