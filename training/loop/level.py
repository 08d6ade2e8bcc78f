"""Rain-free images come out as bright as they went in: the last bias, set by what remains."""

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from derain_ros.model.network import DerainNetwork


def level(network: DerainNetwork, images: Iterable[np.ndarray]) -> None:
    """
    Shift the last bias by what the network changes in rain-free images; not the paper's.

    No loss presses hard on a shift of less than a grey level, but rounded to 8 bits it moves
    every other pixel. The median over images of each image's median, for it is most pixels that
    are to stay as they are, and what the network takes for a streak is not a matter of a bias.

    :param network: float32; changed in place.
    :param images: rain-free, uint8 RGB [H, W, 3], of any sizes of 16 and more.
    """
    fold = network.shape.unshuffle
    medians = []
    for image in images:
        height, width = (side - side % fold for side in image.shape[:2])
        clean = torch.from_numpy(image[:height, :width]).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            change = functional.pixel_unshuffle(network(clean) - clean, fold)
        medians.append(change[0].flatten(1).median(dim=1).values)
    shift = torch.stack(medians).median(dim=0).values
    with torch.no_grad():
        # a residual network gives the rain, which is taken away from the image
        network.image_conversion.bias += shift if network.shape.residual else -shift
