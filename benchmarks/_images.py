"""Camera images of noise: the network takes as long for one as for any other image."""

from array import array

import numpy as np
from sensor_msgs.msg import Image


def noise(height: int, width: int) -> Image:
    """Return a bgr8 image."""
    message = Image(height=height, width=width, step=3 * width, encoding='bgr8')
    pixels = np.random.default_rng(0).integers(0, 256, 3 * width * height, np.uint8)
    message.data = array('B', pixels.tobytes())
    return message
