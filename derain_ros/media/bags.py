"""Bags and the pictures in their messages, raw or compressed; no PyTorch: for the demo too."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import get_typestore, Stores

from derain_ros.errors import ImageError
from derain_ros.image import raw as images

IMAGE_TYPES = {'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'}


def bag_reader(files: Sequence[Path]) -> AnyReader:
    """Read the files of a bag, or its folder; those of Humble do not say what messages hold."""
    return AnyReader(files, default_typestore=get_typestore(Stores.ROS2_HUMBLE))


def read_message(message: object) -> np.ndarray:
    """
    Give a message's picture as uint8 RGB [H, W, 3].

    :param message: with the fields of sensor_msgs/Image or sensor_msgs/CompressedImage.
    :raises ImageError: it holds no colour image, or none that can be decoded.
    """
    if hasattr(message, 'format'):
        # an empty message makes OpenCV raise, depending on its version
        image = cv2.imdecode(message.data, cv2.IMREAD_COLOR) if message.data.size else None
        if image is None:
            raise ImageError(f'compressed as {message.format}, OpenCV cannot decode it')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    frame = images.read(message)
    return frame.pixels if frame.order == 'rgb' else frame.pixels[..., ::-1]
