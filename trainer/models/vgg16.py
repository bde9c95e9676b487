"""VGG16 as a trunk: the convolutions up to fc7, the fully connected layers reduced to convolutions.

Simonyan and Zisserman 2015, table 1, column D; fc6 and fc7 as in Liu et al. 2016 (SSD), section 3. Layers carry the names that
Caffe gave them, so that pretrained files can be matched by name.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional


class Convolution(NamedTuple):
    """One layer; every layer has a bias and is followed by a ReLU."""

    name: str
    channels_in: int
    channels_out: int
    kernel: int = 3


BLOCKS: tuple[tuple[Convolution, ...], ...] = (
    (Convolution("conv1_1", 3, 64), Convolution("conv1_2", 64, 64)),
    (Convolution("conv2_1", 64, 128), Convolution("conv2_2", 128, 128)),
    (Convolution("conv3_1", 128, 256), Convolution("conv3_2", 256, 256), Convolution("conv3_3", 256, 256)),
    (Convolution("conv4_1", 256, 512), Convolution("conv4_2", 512, 512), Convolution("conv4_3", 512, 512)),
    (Convolution("conv5_1", 512, 512), Convolution("conv5_2", 512, 512), Convolution("conv5_3", 512, 512)),
    (Convolution("fc6", 512, 1024), Convolution("fc7", 1024, 1024, kernel=1)),
)

CONVOLUTIONS: tuple[Convolution, ...] = tuple(layer for block in BLOCKS for layer in block)

FC6_DILATION = 6
"""fc6 keeps every third of its 7 positions, and pool5 no longer halves: its taps lie 6 apart (Liu et al. 2016, section 3)."""


class Vgg16(nn.Module):
    """20.5 million parameters; gives the maps of conv4_3 (stride 8) and fc7 (stride 16), both after their ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({layer.name: _convolution(layer) for layer in CONVOLUTIONS})
        for layer in self.layers.values():
            assert isinstance(layer, nn.Conv2d)
            # Without batch normalisation 15 layers train from random weights only with this variance (He et al. 2015).
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    @property
    def first(self) -> nn.Conv2d:
        """conv1_1, the layer that sees the image."""
        layer = self.layers["conv1_1"]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, h, w] -> [N, 512, h/8, w/8] and [N, 1024, h/16, w/16], sizes rounded as for 300: 75 gives 38, then 19."""
        x = functional.max_pool2d(self._block(x, 0), 2)
        x = functional.max_pool2d(self._block(x, 1), 2)
        # Rounds up: 300 px leave 75 here, and conv4_3 has to be 38 wide.
        x = functional.max_pool2d(self._block(x, 2), 2, ceil_mode=True)
        conv4_3 = self._block(x, 3)
        x = self._block(functional.max_pool2d(conv4_3, 2), 4)
        return conv4_3, self._block(functional.max_pool2d(x, 3, stride=1, padding=1), 5)

    def _block(self, x: Tensor, index: int) -> Tensor:
        for layer in BLOCKS[index]:
            x = functional.relu(self.layers[layer.name](x), inplace=True)
        return x


def _convolution(layer: Convolution) -> nn.Conv2d:
    dilation = FC6_DILATION if layer.name == "fc6" else 1
    padding = dilation * (layer.kernel // 2)
    return nn.Conv2d(layer.channels_in, layer.channels_out, layer.kernel, padding=padding, dilation=dilation)
