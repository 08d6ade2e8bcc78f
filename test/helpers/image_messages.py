"""Messages of every encoding, for the tests of how images are read and written."""

from array import array

import numpy as np
from sensor_msgs.msg import Image

BYTES_PER_PIXEL = {
    'bgr8': 3,
    'rgb8': 3,
    'bgra8': 4,
    'rgba8': 4,
    'mono8': 1,
    'bayer_rggb8': 1,
    'bayer_bggr8': 1,
    'bayer_gbrg8': 1,
    'bayer_grbg8': 1,
    'yuv422': 2,
    'uyvy': 2,
    'yuv422_yuy2': 2,
    'yuyv': 2,
    'nv12': 1,
    'nv21': 1,
    'mono16': 2,
    'bgr16': 6,
    'rgb16': 6,
    '8UC1': 1,
    '8UC3': 3,
    '8UC4': 4,
}
KEPT_ENCODINGS = ['bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8']
CHROMA_BELOW = ['nv12', 'nv21']


def message(encoding: str, rows: np.ndarray, width: int, /, **fields: int) -> Image:
    """Return the message whose data are the bytes [rows, step]; `fields` override its own."""
    rows = np.ascontiguousarray(rows, np.uint8)
    height = len(rows) * 2 // 3 if encoding in CHROMA_BELOW else len(rows)
    image = Image(encoding=encoding, height=height, width=width, step=rows.shape[1])
    image.data = array('B', rows.tobytes())
    for name, value in fields.items():
        setattr(image, name, value)
    return image


def noise(encoding: str, height: int, width: int, padding: int = 0, /, **fields: int) -> Image:
    rows = height * 3 // 2 if encoding in CHROMA_BELOW else height
    step = width * BYTES_PER_PIXEL[encoding] + padding
    data = np.random.default_rng(7).integers(0, 256, (rows, step))
    return message(encoding, data, width, **fields)


def unpadded(image: Image) -> Image:
    rows = np.frombuffer(image.data, np.uint8).reshape(-1, image.step)
    rows = rows[:, : image.width * BYTES_PER_PIXEL[image.encoding]]
    return message(image.encoding, rows, image.width, is_bigendian=image.is_bigendian)
