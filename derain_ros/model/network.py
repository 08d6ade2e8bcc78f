"""
The de-raining network of the paper, in its released shapes.

Source: "Single image de-raining algorithm based on semi-supervised learning". The paper draws
four stages; each is a class here. What it leaves unsaid is marked *inferred*.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
import json

from torch import nn, Tensor
from torch.nn import functional

LEAKY_SLOPE = 0.2
# far beyond any use; a damaged file may ask for more memory than there is
LARGEST_SIZE = 4096


@dataclass(frozen=True, kw_only=True)
class Shape:
    """
    What makes one network differ from another.

    :param channels: width of every feature map.
    :param units: multi-scale de-raining units in a row.
    :param scales: the paper's n; scale i works on features max-pooled by 2^(i-1).
    :param widths: inside the blocks of a unit, one per scale, the finest first; none: channels
        everywhere, as in the paper. Coarse scales have few pixels, so that wide ones are cheap.
    :param unshuffle: factor by which space is folded into channels before the first stage, and
        back after the last; 1 is the paper's network. Ours, for speed.
    :param residual: True: output = input - predicted rain (*inferred*); False: the last stage
        gives the image itself.
    """

    channels: int
    units: int
    scales: int = 3
    widths: tuple[int, ...] = ()
    unshuffle: int = 1
    residual: bool = True

    def __post_init__(self) -> None:
        # JSON and YAML have lists only
        object.__setattr__(self, 'widths', tuple(self.widths))
        if self.widths and len(self.widths) != self.scales:
            raise ValueError(
                f'widths {list(self.widths)} are not one for each of {self.scales} scales'
            )

    @property
    def multiple(self) -> int:
        """Height and width are padded up to a multiple of this many pixels."""
        return self.unshuffle * (1 << (self.scales - 1))

    def to_json(self) -> str:
        """Return the shape as JSON, for the metadata of weights."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> 'Shape':
        """
        Read a shape from the metadata of weights.

        :raises ValueError: the text is no shape.
        """
        try:
            shape = cls(**json.loads(text))
            sizes = (shape.channels, shape.units, shape.scales, shape.unshuffle, *shape.widths)
            if not all(type(size) is int and 1 <= size <= LARGEST_SIZE for size in sizes):
                raise TypeError(f'sizes are whole numbers from 1 to {LARGEST_SIZE}')
            if type(shape.residual) is not bool:
                raise TypeError('residual is true or false')
        # a RecursionError is what very deep JSON raises
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f'{text[:200]!r} is no shape of a network ({error})') from error
        return shape


SHAPES = {
    'reference': Shape(channels=32, units=8),
    'fast': Shape(channels=48, units=2, unshuffle=2),
    # about half of the time of fast; not released yet
    'narrow': Shape(channels=32, units=2, scales=4, widths=(32, 32, 64, 64), unshuffle=2),
}


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Build a 3x3 convolution that keeps the size; zero padding is *inferred*."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class FeatureTransform(nn.Sequential):
    """Stage 1: image [N, 3 u², H/u, W/u] to features [N, C, H/u, W/u]."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__(convolution(inputs, channels), nn.LeakyReLU(LEAKY_SLOPE, inplace=True))


class CascadeBlock(nn.Sequential):
    """
    The paper's cascade convolution learning block (CCLB): four 3x3 convolutions in series.

    :param width: of the features between them; none: channels, as in the paper.
    """

    def __init__(self, channels: int, width: int | None = None) -> None:
        inner = channels if width is None else width
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, inner, inner, inner, channels)):
            layers += [convolution(inputs, outputs), nn.LeakyReLU(LEAKY_SLOPE, inplace=True)]
        super().__init__(*layers)


class MatchingNetwork(nn.Module):
    """Stage 2: a CCLB with a skip connection; the statistics of its output F are matched."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = CascadeBlock(channels)

    def forward(self, features: Tensor) -> Tensor:
        detail: Tensor = self.block(features)
        return features + detail


class MultiScaleUnit(nn.Module):
    """
    One de-raining unit: pool, CCLB and upsample per scale; the sum plus the unit's input.

    Pooling by 4 is pooling by 2 twice, and so is upsampling: each scale works on the next finer
    one alone, which gives the same numbers with fewer passes over full-size memory.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.widths or (shape.channels,) * shape.scales
        self.blocks = nn.ModuleList(CascadeBlock(shape.channels, width) for width in widths)

    def forward(self, features: Tensor) -> Tensor:
        pooled = [features]
        for _ in self.blocks[1:]:
            pooled.append(functional.max_pool2d(pooled[-1], kernel_size=2))
        total: Tensor = self.blocks[-1](pooled[-1])
        for block, finer in zip(reversed(self.blocks[:-1]), reversed(pooled[:-1])):
            # nearest is inferred: the paper only says "upsample"
            total = block(finer) + functional.interpolate(total, scale_factor=2.0, mode='nearest')
        return features + total


class Fusion(nn.Conv2d):
    """
    A 1x1 convolution over the concatenation of so many feature maps.

    Computed as the sum of a convolution per map, which spares the copy that concatenating takes.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__(channels * maps, channels, kernel_size=1)

    def forward(self, maps: list[Tensor]) -> Tensor:  # type: ignore[override]  # of many maps
        channels = self.out_channels
        total = functional.conv2d(maps[0], self.weight[:, :channels], self.bias)
        for index, features in enumerate(maps[1:], start=1):
            weight = self.weight[:, index * channels : (index + 1) * channels]
            total = total + functional.conv2d(features, weight)
        return total


class MultiScaleNetwork(nn.Module):
    """
    Stage 3: multi-scale units in a row, densely connected.

    After unit k a 1x1 convolution fuses F and the outputs of units 1 to k; that it has no
    activation, and that F is among its inputs, is *inferred*.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.units = nn.ModuleList(MultiScaleUnit(shape) for _ in range(shape.units))
        self.fusions = nn.ModuleList(
            Fusion(shape.channels, count + 2) for count in range(shape.units)
        )

    def forward(self, features: Tensor) -> Tensor:
        outputs = [features]
        for unit, fusion in zip(self.units, self.fusions):
            outputs.append(unit(features))
            features = fusion(outputs)
        return features


class ImageConversion(nn.Conv2d):
    """Stage 4: features [N, C, H/u, W/u] to rain, or image, [N, 3 u², H/u, W/u]."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(channels, outputs, kernel_size=3, padding=1)


class DerainNetwork(nn.Module):
    """
    The whole network: a rainy image [N, 3, H, W], RGB, float in [0, 1], to the de-rained one.

    H and W are at least 16; the output has the input's size and is not clamped, so that the
    loss sees what was overshot.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        image_channels = 3 * shape.unshuffle**2
        self.feature_transform = FeatureTransform(image_channels, shape.channels)
        self.matching = MatchingNetwork(shape.channels)
        self.deraining = MultiScaleNetwork(shape)
        self.image_conversion = ImageConversion(shape.channels, image_channels)

    def matched_features(self, image: Tensor) -> Tensor:
        """Stages 1 and 2: image [N, 3, H, W] to F [N, C, H'/u, W'/u]; all real rain passes."""
        folded = functional.pixel_unshuffle(self._padded(image), self.shape.unshuffle)
        features: Tensor = self.matching(self.feature_transform(folded))
        return features

    def converted(self, features: Tensor) -> Tensor:
        """Stages 3 and 4: F [N, C, H'/u, W'/u] to rain, or image, [N, 3, H', W']."""
        return functional.pixel_shuffle(
            self.image_conversion(self.deraining(features)), self.shape.unshuffle
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        output = self.converted(self.matched_features(image))[..., :height, :width]
        return image - output if self.shape.residual else output

    def _padded(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        right, bottom = -width % self.shape.multiple, -height % self.shape.multiple
        # replicated edges, so that no dark frame looks like the end of a streak
        return functional.pad(image, (0, right, 0, bottom), mode='replicate')
