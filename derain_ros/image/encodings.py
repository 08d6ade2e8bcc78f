"""What an encoding of sensor_msgs/Image is in memory, and in which a result is published."""

from __future__ import annotations

from typing import NamedTuple

import cv2

from derain_ros.order import Order


class Layout(NamedTuple):
    """
    How an encoding lies in memory.

    :param channels: samples per pixel in a row of the message.
    :param code: OpenCV's conversion to three channels, None if there are three already.
    :param order: of these three.
    :param depth: bits per sample, 8 or 16.
    :param even: the sides that must be even, because two pixels along them share their colour.
    :param least: smallest width and height that can be converted.
    """

    channels: int
    code: int | None = None
    order: Order = 'bgr'
    depth: int = 8
    even: tuple[str, ...] = ()
    least: int = 1

    def row(self, width: int) -> int:
        """Bytes of a row, without padding."""
        return width * self.channels * self.depth // 8

    def rows(self, height: int) -> int:
        """Rows of the message's data: colour at half the height lies below the luma plane."""
        return height * 3 // 2 if 'height' in self.even else height


# ROS names a Bayer pattern by its first pixels, OpenCV's older codes by those one row and one
# column further in. The newer codes (BayerRGGB2BGR) are missing from the OpenCV of Ubuntu 22.04.
# Below 3 x 3 pixels OpenCV has no neighbours to interpolate from and silently answers black.
LAYOUTS = {
    'bgr8': Layout(3),
    'rgb8': Layout(3, order='rgb'),
    'bgra8': Layout(4, cv2.COLOR_BGRA2BGR),
    'rgba8': Layout(4, cv2.COLOR_RGBA2RGB, order='rgb'),
    'mono8': Layout(1, cv2.COLOR_GRAY2BGR),
    'bayer_rggb8': Layout(1, cv2.COLOR_BayerBG2BGR, least=3),
    'bayer_bggr8': Layout(1, cv2.COLOR_BayerRG2BGR, least=3),
    'bayer_gbrg8': Layout(1, cv2.COLOR_BayerGR2BGR, least=3),
    'bayer_grbg8': Layout(1, cv2.COLOR_BayerGB2BGR, least=3),
    'yuv422': Layout(2, cv2.COLOR_YUV2BGR_UYVY, even=('width',)),
    'yuv422_yuy2': Layout(2, cv2.COLOR_YUV2BGR_YUY2, even=('width',)),
    'nv12': Layout(1, cv2.COLOR_YUV2BGR_NV12, even=('width', 'height')),
    'nv21': Layout(1, cv2.COLOR_YUV2BGR_NV21, even=('width', 'height')),
    'mono16': Layout(1, cv2.COLOR_GRAY2BGR, depth=16),
    'bgr16': Layout(3, depth=16),
    'rgb16': Layout(3, cv2.COLOR_RGB2BGR, depth=16),
}

# The names newer releases of sensor_msgs give to yuv422, and OpenCV's own type names, which
# cv_bridge writes where a node did not say what its image is.
ALIASES = {
    'uyvy': 'yuv422',
    'yuyv': 'yuv422_yuy2',
    '8UC1': 'mono8',
    '8UC3': 'bgr8',
    '8UC4': 'bgra8',
}

# From three channels, in either order, to those of the encodings that a result is published in.
RESULT_CODES = {
    'bgr8': None,
    'rgb8': None,
    'bgra8': cv2.COLOR_BGR2BGRA,
    'rgba8': cv2.COLOR_RGB2RGBA,
    'mono8': cv2.COLOR_BGR2GRAY,
}


def output_encoding(encoding: str) -> str:
    """
    Name the encoding in which the result of an image is published.

    :param encoding: of the image.
    :returns: the same if it is bgr8, rgb8, bgra8, rgba8 or mono8, under that name; else bgr8.
    """
    encoding = ALIASES.get(encoding, encoding)
    return encoding if encoding in RESULT_CODES else 'bgr8'
