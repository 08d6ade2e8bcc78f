"""Images fitted into panels of one size, for contact sheets and side-by-side videos."""

import cv2
import numpy as np


def fit(image: np.ndarray, panel_px: tuple[int, int]) -> np.ndarray:
    """
    Scale an image into a panel and centre it there on black.

    :param image: uint8 [H, W, 3].
    :param panel_px: width and height.
    :returns: uint8 [height, width, 3].
    """
    width, height = panel_px
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if size != image.shape[1::-1]:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    return cv2.copyMakeBorder(
        image,
        top,
        height - image.shape[0] - top,
        left,
        width - image.shape[1] - left,
        cv2.BORDER_CONSTANT,
    )
