"""Pictures for people."""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray


def fit(image: NDArray[np.uint8], panel: tuple[int, int]) -> NDArray[np.uint8]:
    """
    Scale an image into a panel, its shape kept, and centre it there on black.

    :param image: uint8 [H, W, 3].
    :param panel: width and height.
    :returns: uint8 [height, width, 3] of the panel.
    """
    width, height = panel
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if size != image.shape[1::-1]:
        image = cast(NDArray[np.uint8], cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    bottom, right = height - size[1] - top, width - size[0] - left
    framed = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return cast(NDArray[np.uint8], framed)
